import type { Readable } from 'node:stream';
import { Problem } from '../http/problem.ts';

/** How often whoever receives a stream is asked for their key again, in milliseconds. */
const EVERY_MS = 10_000;

/**
 * Ends a streamed answer when the key or session that asked for it has ended: a stream may run for days, and
 * is admitted only once by itself. One that can't be judged, because PostgreSQL is away, goes on.
 */
export function endWithAdmission(stream: Readable, admit: () => Promise<unknown>, everyMs = EVERY_MS): void {
  const timer = setInterval(() => {
    admit().catch((error: unknown) => {
      if (error instanceof Problem && (error.status === 401 || error.status === 403)) stream.destroy();
    });
  }, everyMs);
  timer.unref();
  stream.once('close', () => clearInterval(timer));
}
