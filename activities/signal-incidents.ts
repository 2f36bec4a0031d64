import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { incidentWorkflowId } from '../workflows/ids.ts';
import { incidentChanged } from '../workflows/messages.ts';
import { QUEUES } from '../workflows/queues.ts';

/** How long a signal may take before the sweep is left to repeat it, in milliseconds. */
const SIGNAL_DEADLINE_MS = 5000;

/**
 * Tells incidents' workflows to look at their rows, starting those that don't run. The notices they owe are on record
 * already: a failure here is logged, and the sweep signals again.
 */
export async function signalIncidents(client: Client, ids: readonly string[], log: Logger): Promise<void> {
  const results = await Promise.allSettled(
    ids.map((id) =>
      client.withDeadline(Date.now() + SIGNAL_DEADLINE_MS, () =>
        client.workflow.signalWithStart('incident', {
          workflowId: incidentWorkflowId(id),
          taskQueue: QUEUES.incidents,
          args: [{ incident_id: id }],
          staticSummary: `Follows incident ${id} until someone has it`,
          signal: incidentChanged,
          signalArgs: [],
        }),
      ),
    ),
  );
  for (const result of results) {
    if (result.status === 'rejected') log.warn({ err: result.reason }, 'an incident could not be signalled');
  }
}
