import { inspect } from 'node:util';
import { DefaultLogger, Runtime } from '@temporalio/worker';

/** How many lines are kept for a test that may fail. */
const MOST = 100;

let said: string[] = [];

/**
 * Collects the SDK's messages during a test and shows them if the test fails, because many tests cause its
 * warnings on purpose. `SDK_LOG=1` shows them at once.
 */
export const sdkLogger = new DefaultLogger('WARN', ({ level, message, meta }) => {
  const line = `[${level}] ${message} ${inspect(meta, { depth: 4 })}`;
  if (process.env.SDK_LOG) console.error(line);
  else said = [...said.slice(1 - MOST), line];
});

/** The messages since the last call. */
export function sdkSaid(): string[] {
  // Not `instance()`, which would create a runtime if the test had none.
  Runtime._instance?.flushLogs();
  const lines = said;
  said = [];
  return lines;
}

/**
 * Makes all workers of the test run, and Core, log there. The first user creates the runtime: one that nobody
 * uses would never end, and its log would keep the process alive.
 */
export function quietSdk(): void {
  Runtime.defaultOptions = {
    logger: sdkLogger,
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
    shutdownSignals: [],
  };
}
