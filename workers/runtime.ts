import {
  type LogLevel,
  type LogMetadata,
  Runtime,
  type RuntimeOptions,
  type Logger as SdkLogger,
  type TelemetryOptions,
} from '@temporalio/worker';
import type { Logger } from 'pino';
import { type Exporter, freePort } from './sdk-metrics.ts';

/** Ports tried for the exporter: another program may take one between its choice and its use. */
const TRIES = 5;

/**
 * Sets the SDK up for this process. What its TypeScript and its native part (Core) have to say goes through our log: one
 * stream, one format, one level. Signals are ours to handle. With `measured`, Core serves what it measures on a port of
 * loopback, which it must be given; where none can be had, the worker works without.
 */
export async function installRuntime(
  log: Logger,
  { measured, port = freePort }: { measured: boolean; port?: () => Promise<number> },
): Promise<Exporter> {
  let failure = 'this process measures nothing';
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
    // The libraries below Core log each frame of HTTP/2: of them only what is wrong.
    logging: { filter: { core, other: core === 'ERROR' ? 'ERROR' : 'WARN' }, forward: {} },
  };
  if (bindAddress !== undefined) {
    telemetryOptions.metrics = {
      attachServiceName: false,
      // Prometheus' conventions for names: seconds, _total.
      prometheus: { bindAddress, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true },
    };
  }
  return { logger: sdkLogger(log), telemetryOptions, shutdownSignals: [] };
}

/** The least that Core tells: what our log drops would only be carried over. */
function levelOf(log: Logger): LogLevel {
  const levels: readonly LogLevel[] = ['TRACE', 'DEBUG', 'INFO', 'WARN'];
  return levels.find((level) => log.isLevelEnabled(level.toLowerCase())) ?? 'ERROR';
}

/** The SDK's logger over ours. The error has the place where errors are in our log, or nothing would be seen of it. */
function sdkLogger(log: Logger): SdkLogger {
  const at = (level: LogLevel) => (message: string, meta?: LogMetadata) => write(level, message, meta);
  function write(level: LogLevel, message: string, meta: LogMetadata = {}): void {
    const { error, ...temporal } = meta;
    const method = level.toLowerCase() as Lowercase<LogLevel>;
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
