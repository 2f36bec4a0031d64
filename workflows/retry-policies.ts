import type { ActivityOptions, LocalActivityOptions, RetryPolicy } from '@temporalio/common';

/**
 * Retry policies, declared by kind of failure. An activity says which kind it met by the `type` of the
 * ApplicationFailure it throws; what isn't named here is taken for transient and retried.
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
 * Appending a producer's batch: quick at first, then patient, for ten minutes of trying; then it is a dead
 * letter. Counted in tries, because time spent in a throttled queue, or while no worker runs, is not trying.
 */
export const emitPolicy = {
  startToCloseTimeout: '30s',
  retry: backoff('500ms', LONGEST_PRODUCER_BACKOFF_MS, 64),
} satisfies ActivityOptions;

/** Reads and writes of our own tables: they must happen, so they are tried for as long as it takes. */
export const recordPolicy = {
  startToCloseTimeout: '30s',
  retry: backoff('200ms', '10s'),
} satisfies ActivityOptions;

/**
 * The same in the workflow's own process: short reads, and judging. What fails three times is left to
 * firmPolicy.
 */
export const localPolicy = {
  startToCloseTimeout: '60s',
  localRetryThreshold: '2s',
  retry: backoff('200ms', '1s', 3),
} satisfies LocalActivityOptions;

/**
 * The same once more, by the server, which tells of its retries and writes no history for them. See
 * firmly.ts.
 */
export const firmPolicy = {
  startToCloseTimeout: '60s',
  retry: backoff('1s', '10s'),
} satisfies ActivityOptions;

/** Counting what was in a new rule's window: as long as it makes progress. */
export const backfillPolicy = {
  startToCloseTimeout: '6h',
  heartbeatTimeout: '2m',
  retry: backoff('1s', '30s'),
} satisfies ActivityOptions;

/** Housekeeping: what fails a few times is told and tried again in the next round. */
export const housekeepingPolicy = {
  startToCloseTimeout: '30m',
  heartbeatTimeout: '2m',
  retry: backoff('1s', '10s', 4),
} satisfies ActivityOptions;

/**
 * One attempt to deliver a notice. The workflow keeps the schedule between attempts, which no RetryPolicy can
 * say.
 */
export const deliverPolicy = {
  startToCloseTimeout: '30s',
  retry: { maximumAttempts: 1 },
} satisfies ActivityOptions;

/**
 * Pauses between attempts at one delivery, in milliseconds: Standard Webhooks' schedule, about three days.
 */
export const DELIVERY_SCHEDULE_MS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map(
  (s) => s * 1000,
);
