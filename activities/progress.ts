import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';

/**
 * Reports to the server that a part of the work is done. @throws when the activity is cancelled or its worker
 * stops
 */
export type Progress = () => void;

/**
 * Runs long work of an activity, which calls `progress` after each part. Heartbeats come only from these
 * calls. So if the work hangs they stop, and the server runs the activity elsewhere.
 */
export async function withProgress<T>(work: (progress: Progress) => Promise<T>): Promise<T> {
  const signal = cancellationSignal();
  // The progress of earlier attempts is kept.
  heartbeat(activityInfo().heartbeatDetails);
  return work(() => {
    heartbeat();
    signal.throwIfAborted();
  });
}
