import { sql } from 'kysely';
import { DAY_MS } from '../../domain/event.ts';
import { type Orm, type Sql, sqlOf, transaction } from '../orm.ts';
import { dayOf, partitionDays } from '../partitions.ts';
import { RULE_SET_LOCK } from './append.ts';

/**
 * Drops partitions whose last day is before `before`. Detaching doesn't lock the parent's readers and writers out; a
 * partition left detached by a crash is dropped by the next call.
 */
export async function dropPartitions(
  orm: Orm,
  parent: 'events' | 'window_counts',
  before: number,
): Promise<number> {
  const db = sqlOf(orm);
  let dropped = 0;
  for (const { name, day, attached } of await partitionDays(db, parent)) {
    if (day + DAY_MS > dayOf(before)) continue;
    if (attached) await sql.raw(`alter table ${parent} detach partition ${name} concurrently`).execute(db);
    await sql.raw(`drop table ${name}`).execute(db);
    dropped++;
  }
  return dropped;
}

/** Removes what events before `before` (epoch ms) left in tables that aren't partitioned. */
export async function forgetEvents(db: Sql, before: number): Promise<void> {
  await sql`delete from event_ids where occurred_at < ${Math.floor(before)}::bigint`.execute(db);
  await sql`delete from event_rollups where minute < ${Math.floor(before)}::bigint`.execute(db);
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

/**
 * Lets go of groups that are ok and have nothing counted, of rules that are nearly full, so that others can be admitted. The
 * rule set's version goes up: every appending process forgets which groups it knew.
 */
export async function forgetIdleGroups(orm: Orm): Promise<number> {
  return transaction(orm, async (db) => {
    const crowded = sql`
      select g.rule_id from rule_groups g join rule_versions v on v.rule_id = g.rule_id and v.superseded_at is null
      group by g.rule_id, (v.definition->>'max_groups')::int having count(*) >= 0.8 * (v.definition->>'max_groups')::int`;
    const { rows } = await sql`${crowded} limit 1`.execute(db);
    if (rows.length === 0) return 0;
    await sql`select pg_advisory_xact_lock(${RULE_SET_LOCK})`.execute(db);
    const gone = await sql`
      delete from rule_groups g where state = 'ok' and group_key not in ('', '*') and rule_id in (${crowded})
        and not exists (
          select from window_counts c where c.rule_id = g.rule_id and c.group_key = g.group_key)
        and not exists (
          select from pending_evaluations p where p.rule_id = g.rule_id and p.group_key = g.group_key)`.execute(
      db,
    );
    if (gone.numAffectedRows) await sql`update rule_set set version = version + 1`.execute(db);
    return Number(gone.numAffectedRows ?? 0);
  });
}
