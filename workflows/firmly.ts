import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import { type Failure, FINAL } from './retry-policies.ts';

/**
 * Runs an activity first locally in the worker, which costs one event of history. If it fails there a few
 * times, it runs as a normal activity. The server's retries cost no history, last as long as needed, and
 * people see the pending activity.
 */
export function firmly<Args extends unknown[], Ret>(
  local: (...args: Args) => Promise<Ret>,
  scheduled: (...args: Args) => Promise<Ret>,
): (...args: Args) => Promise<Ret> {
  return async (...args) => {
    try {
      return await local(...args);
    } catch (error) {
      if (isCancellation(error) || isFinal(error)) throw error;
      return scheduled(...args);
    }
  };
}

/**
 * True for failures that no retry can fix. A local activity may throw its failure directly, others wrap it.
 */
function isFinal(error: unknown): boolean {
  const failure = error instanceof ActivityFailure ? error.cause : error;
  if (failure instanceof ApplicationFailure) {
    return failure.nonRetryable === true || FINAL.includes((failure.type ?? '') as Failure);
  }
  return !(failure instanceof TimeoutFailure);
}
