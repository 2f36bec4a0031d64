import type { Logger } from 'pino';
import { seldom } from '../log-seldom.ts';

/** Error codes of connections that the client or the network closed. They are not our faults. */
const OTHER_SIDE = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'ETIMEDOUT',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
]);

/** How often such errors are logged at most, in milliseconds. */
const EVERY_MS = 60_000;

/**
 * Logs errors of connections outside of handlers. Anybody can break off connections without a key, as often
 * as they like, so those get one line per minute, without a stack.
 */
export function brokenConnections(log: Logger): (error: Error) => void {
  const brokenOff = seldom((fields, message) => log.info(fields, message), EVERY_MS);
  return (error) => {
    const { code = '' } = error as { code?: string };
    if (OTHER_SIDE.has(code)) brokenOff('broken off', { code }, 'a client closed its connection early');
    else log.error({ err: error }, 'connection failed');
  };
}
