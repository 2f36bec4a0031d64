import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { lastRounds } from '../db/queries/system/housekeeping-rounds.ts';
import { HOUSEKEEPING_STEPS } from '../domain/system/housekeeping.ts';
import { type Repetition, repeat } from '../process/repeat.ts';
import { askTemporal } from '../temporal-config/ask.ts';
import { HOUSEKEEPING } from '../workflows/startable.ts';

const EVERY_MS = 15_000;
/**
 * After this long without a completed round, the workflow may be gone. A round begins every minute.
 * Milliseconds.
 */
const QUIET_MS = 120_000;

/**
 * Keeps the housekeeping workflow running; every rules worker does this. If somebody terminates it, it is
 * started again within two minutes. The last round is in the database, so Temporal is asked only when that is
 * old.
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
