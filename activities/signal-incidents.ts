import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { incidentChanged } from '../workflows/messages.ts';
import { incidentWorkflow } from '../workflows/startable.ts';

/** How long a signal may take before the sweep is left to repeat it, in milliseconds. */
const SIGNAL_DEADLINE_MS = 5000;

/**
 * Tells incidents' workflows to look at their rows, starting those that don't run. The notices they owe are on record
 * already: a failure here is logged, and the sweep signals again.
 */
export async function signalIncidents(client: Client, ids: readonly string[], log: Logger): Promise<void> {
  const results = await Promise.allSettled(ids.map((id) => signalIncident(client, id)));
  for (const result of results) {
    if (result.status === 'rejected') log.warn({ err: result.reason }, 'an incident could not be signalled');
  }
}

async function signalIncident(client: Client, id: string): Promise<void> {
  const { type, ...options } = incidentWorkflow(id);
  await client.withDeadline(Date.now() + SIGNAL_DEADLINE_MS, () =>
    client.workflow.signalWithStart(type, { ...options, signal: incidentChanged, signalArgs: [] }),
  );
}
