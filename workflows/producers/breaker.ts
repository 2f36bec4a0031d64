/** Consecutive batches that fail for good before a producer stops trying. */
const FAILURES_TO_OPEN = 3;
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 600_000;

/** A circuit breaker as plain data, so that it survives continue-as-new. Closed: `opened` is 0. */
export interface Breaker {
  /** Consecutive failures for good. */
  failures: number;
  /** How often it opened since the last success. */
  opened: number;
  /** When it lets one batch through, epoch milliseconds; null while closed or when that batch may go. */
  retry_at: number | null;
}

export const closedBreaker = (): Breaker => ({ failures: 0, opened: 0, retry_at: null });

/** Something went through: closed. */
export function succeeded(breaker: Breaker): void {
  Object.assign(breaker, closedBreaker());
}

/**
 * Counts a failure for good. While one batch is let through on trial, one failure opens it again, for twice
 * as long.
 */
export function failed(breaker: Breaker, now: number): void {
  breaker.failures += 1;
  const pausing = breaker.retry_at !== null && breaker.retry_at > now;
  if (pausing || (breaker.opened === 0 && breaker.failures < FAILURES_TO_OPEN)) return;
  breaker.retry_at = now + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** breaker.opened);
  breaker.opened += 1;
}

/** Somebody changed something: one batch may go at once. */
export function tryNow(breaker: Breaker): void {
  breaker.retry_at = null;
}

/** Batches that may be in flight now: none while it pauses, one on trial, `most` when closed. */
export function allowedInFlight(breaker: Breaker, now: number, most: number): number {
  if (breaker.opened === 0) return most;
  return breaker.retry_at !== null && breaker.retry_at > now ? 0 : 1;
}
