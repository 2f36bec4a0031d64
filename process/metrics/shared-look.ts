import { within } from '../within.ts';

/**
 * How long a scrape waits for a part of the system, in milliseconds: an answer without it is better than
 * none.
 */
export const PATIENCE_MS = 2000;

/**
 * A look at something outside of this process that any number of scrapes share: one at a time, and again only
 * after `freshMs`.
 * @returns what was found; null when there was no answer in time. A look that hangs isn't joined by a second
 * one.
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
