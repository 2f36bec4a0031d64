import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import { type Failure, FINAL } from './retry-policies.ts';

/**
 * Does it in the worker's own process, which costs one event of history; what fails there a few times is done
 * by the server's retries. Those cost no history, last as long as they must, and are pending activities that
 * people see.
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

/** What no retry can mend. A local activity may fail by its own failure, where others are wrapped. */
function isFinal(error: unknown): boolean {
  const failure = error instanceof ActivityFailure ? error.cause : error;
  if (failure instanceof ApplicationFailure) {
    return failure.nonRetryable === true || FINAL.includes((failure.type ?? '') as Failure);
  }
  return !(failure instanceof TimeoutFailure);
}
