import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { lastRounds } from '../db/queries/system/housekeeping-rounds.ts';
import { HOUSEKEEPING_STEPS } from '../domain/system/housekeeping.ts';
import { type Repetition, repeat } from '../process/repeat.ts';
import { askTemporal } from '../temporal-config/ask.ts';
import { HOUSEKEEPING } from '../workflows/startable.ts';

const EVERY_MS = 15_000;
/** A round begins every minute. When none ended for this long, the workflow may be gone. */
const QUIET_MS = 120_000;

/**
 * Has the one housekeeping workflow run, in every rules worker: whoever terminates it finds it back within
 * two minutes. What it did last is on record, so Temporal is asked only when that is old.
 */
export function keepHousekeeping({
  orm,
  client,
  clock,
  log,
}: {
  orm: Orm;
  client: Client;
  clock: () => number;
  log: Logger;
}): Repetition {
  const look = async () => {
    const since = clock() - QUIET_MS;
    const recent = (await lastRounds(sqlOf(orm))).filter(({ ended_at }) => ended_at > since);
    if (recent.length === HOUSEKEEPING_STEPS.length) return;
    const { type, ...options } = HOUSEKEEPING;
    await askTemporal(client, () =>
      client.workflow.start(type, { ...options, workflowIdConflictPolicy: 'USE_EXISTING' }),
    );
  };
  const failed = (error: unknown) => log.warn({ err: error }, 'could not start housekeeping; trying again');
  return repeat(() => look().catch(failed), EVERY_MS);
}
