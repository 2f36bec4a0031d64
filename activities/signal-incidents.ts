import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { signalAll } from '../ingest/signal.ts';
import { incidentChanged } from '../workflows/messages.ts';
import { incidentWorkflow } from '../workflows/startable.ts';

/**
 * Tells incidents' workflows to look at their rows, starting those that don't run. The notices they owe are on record
 * already: a failure here is logged, and the sweep signals again.
 */
export async function signalIncidents(client: Client, ids: readonly string[], log: Logger): Promise<void> {
  await signalAll(client, ids.map(incidentWorkflow), incidentChanged, (error) =>
    log.warn({ err: error }, 'could not signal an incident'),
  );
}
