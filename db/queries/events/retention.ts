import { sql } from 'kysely';
import { DAY_MS } from '../../../domain/events/event.ts';
import { LOCKS } from '../../locks.ts';
import { type Orm, type Sql, sqlOf } from '../../orm.ts';
import { dayOf, type Partitioned, partitionDays } from '../../partitions.ts';
import { LEVELS } from '../rules/fold.ts';
import { deleteInChunks } from '../system/delete-in-chunks.ts';

/**
 * How long a partition may keep others waiting on its way out. While detaching waits for those who read it,
 * no partition can be made: a backfill that reads for hours must not cost late events their day.
 */
const LOCK_TIMEOUT = '5s';

/**
 * Drops partitions whose last day is before `before`. Detaching doesn't lock the parent's readers and writers
 * out; what a crash, or a reader who takes longer than we wait, leaves half done is finished by the next
 * call.
 * @param before epoch ms. For counts it is asked for each partition, while no rule changes: a rule that is
 * made meanwhile either is seen, or counts in a partition that is made after this one has gone
 * @param progress called after each partition; what it throws ends the call
 */
export async function dropPartitions(
  orm: Orm,
  parent: Partitioned,
  before: (db: Sql) => number | Promise<number>,
  progress: () => void = () => {},
): Promise<number> {
  // Detaching concurrently is no part of a transaction, so the connection itself is told how long to wait.
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
 * Does something while no rule changes: who changes one shares the lock. It is the connection's, not a
 * transaction's.
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
 * Removes what events before `before` (epoch ms) left in tables that aren't partitioned. Counts go by whole
 * days, as the events' partitions do, so that totals are those of the events that are there.
 */
export async function forgetEvents(db: Sql, before: number, progress?: () => void): Promise<void> {
  const day = dayOf(before);
  const levels = sql`any(${Object.values(LEVELS)}::smallint[])`;
  await deleteInChunks(db, 'event_ids', sql`t.occurred_at < ${Math.floor(before)}::bigint`, progress);
  await deleteInChunks(db, 'event_rollups', sql`t.minute < ${day}::bigint`, progress);
  await deleteInChunks(db, 'event_totals', sql`t.level = ${levels} and t.at < ${day}::bigint`, progress);
}

/**
 * Removes the record of changes of rules that is older than a day: a process that has slept longer reads all
 * rules.
 */
export async function forgetRuleChanges(db: Sql): Promise<void> {
  await sql`delete from rule_changes where at < now() - interval '1 day'`.execute(db);
}
