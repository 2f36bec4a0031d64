import type { Logger } from 'pino';
import { seldom } from '../log-seldom.ts';

/**
 * What a connection ends with when the other side, or the network between, ends it. Nothing of ours failed.
 */
const OTHER_SIDE = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'ETIMEDOUT',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
]);

/** How often they are logged at the most, in milliseconds. */
const EVERY_MS = 60_000;

/**
 * Logs what befalls a connection outside of a handler. Anybody can break connections off, without a key, as
 * often as they like: that is one line a minute, without a stack.
 */
export function brokenConnections(log: Logger): (error: Error) => void {
  const brokenOff = seldom((fields, message) => log.info(fields, message), EVERY_MS);
  return (error) => {
    const { code = '' } = error as { code?: string };
    if (OTHER_SIDE.has(code)) brokenOff('broken off', { code }, 'a client closed its connection early');
    else log.error({ err: error }, 'connection failed');
  };
}
