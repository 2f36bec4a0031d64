import { ApplicationFailure } from '@temporalio/common';
import { BufferFull, DiskFull } from '../../ingest/outcome.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';

/**
 * What an error means for retries: a full buffer or disk says when to come back; whatever isn't known to be
 * final passes. `details` travel with the failure, to whoever handles it for good.
 */
export function asFailure(error: unknown, details: unknown[] = []): ApplicationFailure {
  if (error instanceof ApplicationFailure) {
    const { message, type } = error;
    const nonRetryable = error.nonRetryable === true;
    return ApplicationFailure.create({
      message,
      type: type ?? undefined,
      nonRetryable,
      details,
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return ApplicationFailure.create({
    message,
    type: FAILURES.transient,
    details,
    cause: error instanceof Error ? error : undefined,
    ...(error instanceof BufferFull || error instanceof DiskFull
      ? { nextRetryDelay: error.retryAfterSeconds * 1000 }
      : {}),
  });
}

/** The batch itself is wrong, for good. */
export function invalidBatch(reason: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(reason, FAILURES.invalid);
}
