import {
  type LogLevel,
  type LogMetadata,
  Runtime,
  type RuntimeOptions,
  type Logger as SdkLogger,
  type TelemetryOptions,
} from '@temporalio/worker';
import type { Logger } from 'pino';
import { freePort } from '../process/free-port.ts';
import type { Exporter } from './sdk-metrics.ts';

/**
 * The SDK's warning about a queue that has only activities, such as `ingest` and `notify`. That is intended,
 * so the warning is dropped.
 */
const ACTIVITIES_ALONE = 'No workflows registered, not polling for workflow tasks';
/** How many ports are tried for the exporter. Another program may take a port just after it was chosen. */
const TRIES = 5;

/**
 * Installs the SDK's runtime for this process. Both its TypeScript part and its native part (Core) log
 * through our logger, in one format and with one level. We handle process signals ourselves. With `measured`,
 * Core serves its metrics on a loopback port, which we must choose. If no port works, the worker runs without
 * these metrics.
 */
export async function installRuntime(
  log: Logger,
  { measured, port = freePort }: { measured: boolean; port?: () => Promise<number> },
): Promise<Exporter> {
  let failure = 'this process does not serve metrics';
  for (let tries = 0; measured && tries < TRIES; tries++) {
    try {
      const bindAddress = `127.0.0.1:${await port()}`;
      Runtime.install(optionsFor(log, bindAddress));
      return { url: `http://${bindAddress}/metrics` };
    } catch (error) {
      failure = (error as Error).message;
    }
  }
  Runtime.install(optionsFor(log));
  return { failure };
}

function optionsFor(log: Logger, bindAddress?: string): RuntimeOptions {
  const core = levelOf(log);
  const telemetryOptions: TelemetryOptions = {
    // The libraries inside Core log each HTTP/2 frame, so only their warnings and errors are kept.
    logging: { filter: { core, other: core === 'ERROR' ? 'ERROR' : 'WARN' }, forward: {} },
  };
  if (bindAddress !== undefined) {
    telemetryOptions.metrics = {
      attachServiceName: false,
      // Names as Prometheus recommends: unit `seconds`, suffix `_total`.
      prometheus: { bindAddress, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true },
    };
  }
  return { logger: sdkLogger(log), telemetryOptions, shutdownSignals: [] };
}

/** The log level for Core: that of our log. Messages below it would only be passed on and dropped. */
function levelOf(log: Logger): LogLevel {
  const levels: readonly LogLevel[] = ['TRACE', 'DEBUG', 'INFO', 'WARN'];
  return levels.find((level) => log.isLevelEnabled(level.toLowerCase())) ?? 'ERROR';
}

/**
 * Makes a logger for the SDK that writes to ours. An error goes to the field `err`, which our log formats.
 */
function sdkLogger(log: Logger): SdkLogger {
  const at = (level: LogLevel) => (message: string, meta?: LogMetadata) => write(level, message, meta);
  function write(level: LogLevel, message: string, meta: LogMetadata = {}): void {
    const { error, ...temporal } = meta;
    const method = message === ACTIVITIES_ALONE ? 'debug' : (level.toLowerCase() as Lowercase<LogLevel>);
    log[method](error === undefined ? { temporal } : { temporal, err: error }, message);
  }
  return {
    log: write,
    trace: at('TRACE'),
    debug: at('DEBUG'),
    info: at('INFO'),
    warn: at('WARN'),
    error: at('ERROR'),
  };
}
