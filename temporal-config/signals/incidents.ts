import type { Logger } from 'pino';
import { sqlOf } from '../../db/orm.ts';
import { shownIncidents } from '../../db/queries/system/shown.ts';
import { incidentChanged } from '../../workflows/messages.ts';
import { incidentWorkflow } from '../../workflows/startable.ts';
import type { Signaller } from './rules.ts';
import { PARALLEL, signalWithStart } from './signal.ts';

/**
 * Tells incidents' workflows to look at their rows, starting those that don't run. The notices they owe are
 * on record already: a failure here is logged, and the sweep signals again.
 */
export async function signalIncidents(
  { orm, client }: Signaller,
  ids: readonly string[],
  log: Logger,
): Promise<void> {
  const failed = (error: unknown) => log.warn({ err: error }, 'could not signal an incident');
  for (let i = 0; i < ids.length; i += PARALLEL) {
    const some = await shownIncidents(sqlOf(orm), ids.slice(i, i + PARALLEL)).catch((error: unknown) => {
      failed(error);
      return new Map();
    });
    await Promise.all(
      [...some].map(([id, incident]) =>
        signalWithStart(client, incidentWorkflow(id, incident), incidentChanged).catch(failed),
      ),
    );
  }
}

/** Tells one. @throws when Temporal or PostgreSQL is away */
export async function signalIncident({ orm, client }: Signaller, id: string): Promise<void> {
  const incident = (await shownIncidents(sqlOf(orm), [id])).get(id);
  // Without its row there is nobody to notify.
  if (incident) await signalWithStart(client, incidentWorkflow(id, incident), incidentChanged);
}
