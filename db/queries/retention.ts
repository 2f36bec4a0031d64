import { sql } from 'kysely';
import { DAY_MS } from '../../domain/event.ts';
import { type Orm, type Sql, sqlOf } from '../orm.ts';
import { dayOf, partitionDays } from '../partitions.ts';
import { LEVELS } from './fold.ts';

/**
 * How long a partition may keep others waiting on its way out. While detaching waits for those who read it, no partition can be
 * made: a backfill that reads for hours must not cost late events their day.
 */
const LOCK_TIMEOUT = '5s';

/**
 * Drops partitions whose last day is before `before`. Detaching doesn't lock the parent's readers and writers out; what a crash, or
 * a reader who takes longer than we wait, leaves half done is finished by the next call.
 */
export async function dropPartitions(
  orm: Orm,
  parent: 'events' | 'window_counts',
  before: number,
): Promise<number> {
  // Detaching concurrently is no part of a transaction, so the connection itself is told how long to wait.
  return sqlOf(orm)
    .connection()
    .execute(async (db) => {
      let dropped = 0;
      await sql.raw(`set lock_timeout = '${LOCK_TIMEOUT}'`).execute(db);
      try {
        for (const { name, day, state } of await partitionDays(db, parent)) {
          if (day + DAY_MS > dayOf(before)) continue;
          const how = { attached: 'concurrently', detaching: 'finalize', detached: null }[state];
          if (how) await sql.raw(`alter table ${parent} detach partition ${name} ${how}`).execute(db);
          await sql.raw(`drop table ${name}`).execute(db);
          dropped++;
        }
      } catch (error) {
        if (!isLockTimeout(error)) throw error;
      } finally {
        await sql`reset lock_timeout`.execute(db);
      }
      return dropped;
    });
}

/** SQLSTATE lock_not_available. */
const isLockTimeout = (error: unknown) => (error as { code?: unknown }).code === '55P03';

/**
 * Removes what events before `before` (epoch ms) left in tables that aren't partitioned. Counts go by whole days, as the
 * events' partitions do, so that totals are those of the events that are there.
 */
export async function forgetEvents(db: Sql, before: number): Promise<void> {
  await sql`delete from event_ids where occurred_at < ${Math.floor(before)}::bigint`.execute(db);
  const day = dayOf(before);
  await sql`delete from event_rollups where minute < ${day}::bigint`.execute(db);
  await sql`
    delete from event_totals where level = any(${Object.values(LEVELS)}::smallint[]) and at < ${day}::bigint`.execute(
    db,
  );
}

/** How far back any rule in force may still judge, in milliseconds. */
export async function longestReach(db: Sql): Promise<number> {
  const { rows } = await sql<{ ms: number }>`
    select coalesce(max(2 * window_ms + 1000 * (
      (definition->>'allowed_lateness_seconds')::float8 + (definition->>'for_seconds')::float8
      + (definition->>'keep_firing_seconds')::float8)), 0) as ms
    from rule_versions where not settled`.execute(db);
  return rows[0]!.ms;
}
