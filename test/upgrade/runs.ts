import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';

const { WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;

/**
 * Why workflow tasks of a run failed. A workflow that cannot continue under new code fails again and again.
 */
export async function failedTasks(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ workflowTaskFailedEventAttributes: failed }) => {
    // A message came when the workflow ended, so the server repeats the task. That is normal.
    const usual = failed?.cause === WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND;
    return failed && !usual ? [failed.failure?.message ?? 'unknown'] : [];
  });
}

/** The activities of a workflow that wait, are retried, or run. */
export async function pendingActivities(handle: WorkflowHandle): Promise<string[]> {
  const { raw } = await handle.describe();
  return (raw.pendingActivities ?? []).map(({ activityType }) => activityType?.name ?? '');
}
