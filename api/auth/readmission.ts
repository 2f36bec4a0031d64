import type { Readable } from 'node:stream';
import { Problem } from '../http/problem.ts';

/** How often the key of a streaming client is checked again, in milliseconds. */
const EVERY_MS = 10_000;

/**
 * Ends a streamed answer once its key or session has ended. A stream may run for days, and would otherwise be
 * authorized only at its start. If authorization cannot be rechecked because PostgreSQL is down, the stream
 * continues.
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
