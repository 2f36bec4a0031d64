import type { Logger } from 'pino';
import { sqlOf } from '../../db/orm.ts';
import { shownIncidents } from '../../db/queries/system/shown.ts';
import { incidentChanged } from '../../workflows/messages.ts';
import { incidentWorkflow } from '../../workflows/startable.ts';
import { SignalQueue } from './queue.ts';
import { type Signaller, signalWithStart } from './signal.ts';

/**
 * Makes the queue that signals incident workflows to read their rows, and starts those that do not run. A
 * failure is only logged: due notices are in the rows, and the sweep signals again.
 */
export function incidentSignals(signaller: Signaller, log: Logger): SignalQueue {
  return new SignalQueue(
    (id) => signalIncident(signaller, id),
    (error) => log.warn({ err: error }, 'could not signal an incident'),
  );
}

async function signalIncident({ orm, client }: Signaller, id: string): Promise<void> {
  const incident = (await shownIncidents(sqlOf(orm), [id])).get(id);
  // If the incident has no row, there is nobody to notify.
  if (incident) await signalWithStart(client, incidentWorkflow(id, incident), incidentChanged);
}
