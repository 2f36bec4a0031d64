import type { Client, WorkflowHandleWithSignaledRunId } from '@temporalio/client';
import { incidentWorkflowId } from '../../workflows/ids.ts';
import type { incident } from '../../workflows/incidents/incident.ts';
import { incidentChanged } from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';

export type Handle = WorkflowHandleWithSignaledRunId<typeof incident>;

/** Signals an incident's workflow like the judge: it starts the workflow if it does not run. */
export function signal(client: Client, id: string): Promise<Handle> {
  return client.workflow.signalWithStart<typeof incident>('incident', {
    workflowId: incidentWorkflowId(id),
    taskQueue: QUEUES.incidents,
    args: [{ incident_id: id }],
    signal: incidentChanged,
    signalArgs: [],
  });
}
