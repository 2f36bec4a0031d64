import { ApplicationFailure } from '@temporalio/common';
import { BufferFull, DiskFull } from '../../ingest/outcome.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';

/**
 * Converts an error into a failure that tells Temporal whether and when to retry. A full buffer or disk says
 * when; everything that is not known to be final is retried. `details` go to whoever handles the failure.
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

/** The failure for a batch that is invalid and always will be. */
export function invalidBatch(reason: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(reason, FAILURES.invalid);
}
