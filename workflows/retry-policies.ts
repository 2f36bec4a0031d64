import type { ActivityOptions, LocalActivityOptions, RetryPolicy } from '@temporalio/common';

/**
 * Kinds of failure. An activity says which kind it met by the `type` of the ApplicationFailure that it
 * throws. What is not named here counts as transient and is tried again.
 */
export const FAILURES = {
  /** The batch itself is wrong: trying again can't help. */
  invalid: 'invalid',
  /** PostgreSQL refused the data (SQLSTATE 22, 23). */
  refused: 'refused',
  /** PostgreSQL, the network or the buffer: passes by itself. */
  transient: 'transient',
  /** The other side said no for good (a 4xx, a channel that is gone). */
  rejected: 'rejected',
  /** The row is gone: whoever asked should stop. */
  gone: 'gone',
} as const;
export type Failure = (typeof FAILURES)[keyof typeof FAILURES];

export const FINAL: readonly Failure[] = [
  FAILURES.invalid,
  FAILURES.refused,
  FAILURES.rejected,
  FAILURES.gone,
];

/** Longest pause between two tries of a batch, in milliseconds. The watermark waits this long after a gap. */
export const LONGEST_PRODUCER_BACKOFF_MS = 10_000;

const backoff = (initial: string, longest: string | number, attempts?: number): RetryPolicy => ({
  initialInterval: initial,
  backoffCoefficient: 2,
  maximumInterval: longest,
  ...(attempts === undefined ? {} : { maximumAttempts: attempts }),
  nonRetryableErrorTypes: [...FINAL],
});

/**
 * How an activity is tried, by the name of what it is for: the limits of one try, and the pauses between
 * tries.
 */
export const retryPolicies = {
  /**
   * Appends a producer's batch: soon at first, then patiently, for ten minutes of trying. Then the batch is a
   * dead letter. Limited by the number of tries, because time in a throttled queue, or while no worker runs,
   * is not trying.
   */
  append: {
    startToCloseTimeout: '30s',
    retry: backoff('500ms', LONGEST_PRODUCER_BACKOFF_MS, 64),
  },
  /** Reads and writes our own tables, which must happen: tried for as long as it takes. */
  record: { startToCloseTimeout: '30s', retry: backoff('200ms', '10s') },
  /** Short reads, and judging, in the workflow's own process. What fails three times is left to `firm`. */
  local: { startToCloseTimeout: '60s', localRetryThreshold: '2s', retry: backoff('200ms', '1s', 3) },
  /** The same by the server, which shows its retries and writes no history for them. See firmly.ts. */
  firm: { startToCloseTimeout: '60s', retry: backoff('1s', '10s') },
  /** Counts what was in a new rule's window: for as long as it makes progress. */
  backfill: { startToCloseTimeout: '6h', heartbeatTimeout: '2m', retry: backoff('1s', '30s') },
  /** A step of housekeeping: what fails four times is reported, and tried again in the next round. */
  housekeeping: { startToCloseTimeout: '30m', heartbeatTimeout: '2m', retry: backoff('1s', '10s', 4) },
  /**
   * One attempt to deliver a notice. The workflow keeps the schedule between attempts, which no RetryPolicy
   * can say.
   */
  deliver: { startToCloseTimeout: '30s', retry: { maximumAttempts: 1 } },
} satisfies Record<string, ActivityOptions | LocalActivityOptions>;

/**
 * Pauses between attempts at one delivery, in milliseconds: Standard Webhooks' schedule, about three days.
 */
export const DELIVERY_SCHEDULE_MS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map(
  (s) => s * 1000,
);
