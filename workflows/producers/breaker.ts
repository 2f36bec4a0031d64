/** After this many consecutive batches that fail for good, the producer pauses. */
const FAILURES_TO_OPEN = 3;
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 600_000;

/**
 * The state of a circuit breaker. It is plain data, so that continue-as-new can pass it on. Closed: `opened`
 * is 0.
 */
export interface Breaker {
  /** How many batches in a row failed for good. */
  failures: number;
  /** How many times it opened since the last success. */
  opened: number;
  /**
   * When it lets one batch through, epoch milliseconds. Null while it is closed, or if that batch may go now.
   */
  retry_at: number | null;
}

export const closedBreaker = (): Breaker => ({ failures: 0, opened: 0, retry_at: null });

/** Notes a success: the breaker is closed. */
export function succeeded(breaker: Breaker): void {
  Object.assign(breaker, closedBreaker());
}

/**
 * Notes a batch that failed for good. If it was the one batch let through, the breaker opens again, for twice
 * as long.
 */
export function failed(breaker: Breaker, now: number): void {
  breaker.failures += 1;
  const pausing = breaker.retry_at !== null && breaker.retry_at > now;
  if (pausing || (breaker.opened === 0 && breaker.failures < FAILURES_TO_OPEN)) return;
  breaker.retry_at = now + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** breaker.opened);
  breaker.opened += 1;
}

/** Lets one batch go at once, because somebody has changed something. */
export function tryNow(breaker: Breaker): void {
  breaker.retry_at = null;
}

/**
 * How many batches may be in flight: none while the breaker is open, one as a trial, `most` when it is
 * closed.
 */
export function allowedInFlight(breaker: Breaker, now: number, most: number): number {
  if (breaker.opened === 0) return most;
  return breaker.retry_at !== null && breaker.retry_at > now ? 0 : 1;
}
