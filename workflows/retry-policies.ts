import type { ActivityOptions, LocalActivityOptions, RetryPolicy } from '@temporalio/common';

/**
 * Kinds of failure. An activity tells the kind by the `type` of the ApplicationFailure that it throws. Kinds
 * not listed here count as transient and are retried.
 */
export const FAILURES = {
  /** The batch itself is invalid, so retrying cannot help. */
  invalid: 'invalid',
  /** PostgreSQL refused the data (SQLSTATE 22, 23). */
  refused: 'refused',
  /** PostgreSQL or the network failed, or the buffer is full. It passes by itself. */
  transient: 'transient',
  /** The receiver refused for good (a 4xx, or a channel that was removed). */
  rejected: 'rejected',
  /** The row is gone, so the caller must stop. */
  gone: 'gone',
} as const;
export type Failure = (typeof FAILURES)[keyof typeof FAILURES];

export const FINAL: readonly Failure[] = [
  FAILURES.invalid,
  FAILURES.refused,
  FAILURES.rejected,
  FAILURES.gone,
];

/**
 * The longest pause between two attempts at a batch, in milliseconds. After a gap, the watermark waits for
 * this long.
 */
export const LONGEST_PRODUCER_BACKOFF_MS = 10_000;

const backoff = (initial: string, longest: string | number, attempts?: number): RetryPolicy => ({
  initialInterval: initial,
  backoffCoefficient: 2,
  maximumInterval: longest,
  ...(attempts === undefined ? {} : { maximumAttempts: attempts }),
  nonRetryableErrorTypes: [...FINAL],
});

/** Timeouts and retries of activities, by their purpose. */
export const retryPolicies = {
  /**
   * Appends a producer's batch. The pauses grow, and it is tried for ten minutes in total; then the batch is
   * a dead letter. The number of attempts is limited, and not the time, because waiting in a limited queue or
   * for a worker is not trying.
   */
  append: {
    startToCloseTimeout: '30s',
    retry: backoff('500ms', LONGEST_PRODUCER_BACKOFF_MS, 64),
  },
  /** Reads and writes our tables. It is retried without limit, because the write must happen. */
  record: { startToCloseTimeout: '30s', retry: backoff('200ms', '10s') },
  /** Short reads, and judging, as local activities in the worker. After three failures, `firm` takes over. */
  local: { startToCloseTimeout: '60s', localRetryThreshold: '2s', retry: backoff('200ms', '1s', 3) },
  /**
   * The same as normal activities: the server retries them and shows that, without writing history. See
   * firmly.ts.
   */
  firm: { startToCloseTimeout: '60s', retry: backoff('1s', '10s') },
  /** Runs the backfill of a new rule, for as long as it makes progress. */
  backfill: { startToCloseTimeout: '6h', heartbeatTimeout: '2m', retry: backoff('1s', '30s') },
  /** A step of housekeeping. After four failures it is reported, and tried again in the next round. */
  housekeeping: { startToCloseTimeout: '30m', heartbeatTimeout: '2m', retry: backoff('1s', '10s', 4) },
  /**
   * One attempt to deliver a notice. The workflow makes the pauses between attempts, because a RetryPolicy
   * cannot express the schedule.
   */
  deliver: { startToCloseTimeout: '30s', retry: { maximumAttempts: 1 } },
} satisfies Record<string, ActivityOptions | LocalActivityOptions>;

/**
 * Pauses between the attempts at one delivery, in milliseconds. It is the schedule of Standard Webhooks,
 * about three days.
 */
export const DELIVERY_SCHEDULE_MS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map(
  (s) => s * 1000,
);
