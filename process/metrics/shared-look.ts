import { within } from '../within.ts';

/**
 * How long a scrape waits for one part of the system, in milliseconds. An answer without that part is better
 * than no answer.
 */
export const PATIENCE_MS = 2000;

/**
 * Shares one query of something outside of this process among all scrapes. Only one runs at a time, and its
 * result is used for `freshMs`.
 * @returns the result, or null if there was no answer in time; a query that hangs is not started a second
 * time
 */
export function sharedLook<T>(
  look: () => Promise<T>,
  freshMs: number,
  patienceMs = PATIENCE_MS,
): () => Promise<T | null> {
  let hanging = false;
  let asked = Number.NEGATIVE_INFINITY;
  let answer: Promise<T | null> = Promise.resolve(null);
  return () => {
    const now = performance.now();
    if (hanging || now - asked < freshMs) return answer;
    asked = now;
    hanging = true;
    const found = look().finally(() => {
      hanging = false;
    });
    answer = within(patienceMs, found).catch(() => null);
    return answer;
  };
}
