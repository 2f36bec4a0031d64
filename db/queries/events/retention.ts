import { sql } from 'kysely';
import { DAY_MS } from '../../../domain/events/event.ts';
import { LOCKS } from '../../locks.ts';
import { type Orm, type Sql, sqlOf } from '../../orm.ts';
import { dayOf, type Partitioned, partitionDays } from '../../partitions.ts';
import { LEVELS } from '../rules/fold.ts';
import { deleteInChunks } from '../system/delete-in-chunks.ts';

/**
 * How long detaching a partition may wait for readers. Meanwhile no partition can be created, and a backfill
 * that reads for hours must not prevent late events from getting theirs.
 */
const LOCK_TIMEOUT = '5s';

/**
 * Drops partitions whose last day is before `before`. Detaching does not block the parent's readers and
 * writers. If a crash or a slow reader interrupts it, the next call continues.
 * @param before epoch ms. For counts it is computed for each partition while no rule changes. So a new rule
 * is either considered, or it counts in partitions that are created afterwards
 * @param progress called after each partition; if it throws, the call ends
 */
export async function dropPartitions(
  orm: Orm,
  parent: Partitioned,
  before: (db: Sql) => number | Promise<number>,
  progress: () => void = () => {},
): Promise<number> {
  // Detaching concurrently is impossible in a transaction, so the timeout is set on the connection.
  return sqlOf(orm)
    .connection()
    .execute(async (db) => {
      let dropped = 0;
      await sql.raw(`set lock_timeout = '${LOCK_TIMEOUT}'`).execute(db);
      try {
        const soonest = await before(db);
        for (const { name, day, state } of await partitionDays(db, parent)) {
          if (day + DAY_MS > dayOf(soonest)) continue;
          const drop = () => dropPartition(db, { parent, name, day, state }, before);
          if (await (parent === 'events' ? drop() : keepingRules(db, drop))) dropped++;
          progress();
        }
      } catch (error) {
        if (!isLockTimeout(error)) throw error;
      } finally {
        await sql`reset lock_timeout`.execute(db);
      }
      return dropped;
    });
}

/**
 * Runs work while no rule changes: everybody who changes a rule takes the same lock. The lock belongs to the
 * connection, not to a transaction.
 */
async function keepingRules<T>(db: Sql, work: () => Promise<T>): Promise<T> {
  await sql`select pg_advisory_lock(${LOCKS.retention})`.execute(db);
  try {
    return await work();
  } finally {
    await sql`select pg_advisory_unlock(${LOCKS.retention})`.execute(db);
  }
}

async function dropPartition(
  db: Sql,
  { parent, name, day, state }: { parent: string } & Awaited<ReturnType<typeof partitionDays>>[number],
  before: (db: Sql) => number | Promise<number>,
): Promise<boolean> {
  if (day + DAY_MS > dayOf(await before(db))) return false;
  const how = { attached: 'concurrently', detaching: 'finalize', detached: null }[state];
  if (how) await sql.raw(`alter table ${parent} detach partition ${name} ${how}`).execute(db);
  await sql.raw(`drop table ${name}`).execute(db);
  return true;
}

/** SQLSTATE lock_not_available. */
const isLockTimeout = (error: unknown) => (error as { code?: unknown }).code === '55P03';

/**
 * Removes what events before `before` (epoch ms) left in tables without partitions. Counts are removed by
 * whole days, like the events, so that totals match the stored events.
 */
export async function forgetEvents(db: Sql, before: number, progress?: () => void): Promise<void> {
  const day = dayOf(before);
  const levels = sql`any(${Object.values(LEVELS)}::smallint[])`;
  await deleteInChunks(db, 'event_ids', sql`t.occurred_at < ${Math.floor(before)}::bigint`, progress);
  await deleteInChunks(db, 'event_rollups', sql`t.minute < ${day}::bigint`, progress);
  await deleteInChunks(db, 'event_totals', sql`t.level = ${levels} and t.at < ${day}::bigint`, progress);
}

/** Removes records of rule changes older than a day. A process that slept longer reads all rules. */
export async function forgetRuleChanges(db: Sql): Promise<void> {
  await sql`delete from rule_changes where at < now() - interval '1 day'`.execute(db);
}
