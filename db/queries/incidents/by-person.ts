import { sql } from 'kysely';
import { type Asked, act, ENTRY_OF, refusalOf } from '../../../domain/incidents/actions.ts';
import { type Orm, transaction } from '../../orm.ts';
import { endPagedAlerts, holdPagedAlerts } from '../received-alerts/writes.ts';
import { lockIncident } from './on-record.ts';
import { writeTransitions } from './write.ts';

/** The outcome of a write. `conflict` says in a sentence why it was refused. */
export type WriteOutcome = { done: true } | { done: false; gone: boolean; conflict: string };

/**
 * Does what a person requested, unless the incident's state refuses it. Resolving also ends PagerDuty's
 * alerts. `at`: epoch milliseconds.
 */
export function actOnIncident(orm: Orm, asked: Asked, at: number): Promise<WriteOutcome> {
  const { incident_id, request, action } = asked;
  return transaction(orm, async (db) => {
    if (action === 'resolve') await holdPagedAlerts(db, incident_id);
    const incident = await lockIncident(db, incident_id);
    if (!incident) return { done: false, gone: true, conflict: 'there is no such incident' };
    // If a worker dies after its commit, the request is repeated. It is then done already, and not refused.
    const { rows } = await sql`
      select from incident_timeline where incident_id = ${incident_id} and kind = ${ENTRY_OF[action]}
        and detail ->> 'request' = ${request}`.execute(db);
    if (rows.length > 0) return { done: true };
    const conflict = refusalOf(action, incident.state);
    if (conflict !== null) return { done: false, gone: false, conflict };
    if (action === 'resolve') await endPagedAlerts(db, incident, at);
    await writeTransitions(db, [act(asked, at)]);
    return { done: true };
  });
}
