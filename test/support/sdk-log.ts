import { inspect } from 'node:util';
import { DefaultLogger, Runtime } from '@temporalio/worker';

/** Lines kept for the one test that may fail. */
const MOST = 100;

let said: string[] = [];

/**
 * Keeps what the SDK says during a test, to be shown if that fails: many tests mean what it warns of.
 * `SDK_LOG=1` shows it as it comes.
 */
export const sdkLogger = new DefaultLogger('WARN', ({ level, message, meta }) => {
  const line = `[${level}] ${message} ${inspect(meta, { depth: 4 })}`;
  if (process.env.SDK_LOG) console.error(line);
  else said = [...said.slice(1 - MOST), line];
});

/** What it has said since it was last asked. */
export function sdkSaid(): string[] {
  // Not `instance()`, which would make a runtime where the test had none.
  Runtime._instance?.flushLogs();
  const lines = said;
  said = [];
  return lines;
}

/**
 * Has every worker of the test run, and Core, log there. The runtime itself is made by the first that needs
 * it: one that nobody uses is never ended, and its log would keep the process.
 */
export function quietSdk(): void {
  Runtime.defaultOptions = {
    logger: sdkLogger,
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
    shutdownSignals: [],
  };
}
