import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';

/**
 * Tells the server that a piece of work is done. @throws when the activity is cancelled or its worker ends
 */
export type Progress = () => void;

/**
 * Runs long work of an activity that calls `progress` after each piece of it. There is no clock in it: work
 * that hangs stops beating, and the server has it done elsewhere.
 */
export async function withProgress<T>(work: (progress: Progress) => Promise<T>): Promise<T> {
  const signal = cancellationSignal();
  // What was done before this attempt counts as progress of it.
  heartbeat(activityInfo().heartbeatDetails);
  return work(() => {
    heartbeat();
    signal.throwIfAborted();
  });
}
