import { sql } from 'kysely';
import type { Event } from '../../domain/event.ts';
import type { Sql } from '../orm.ts';
import type { Version } from './judging.ts';

/** The slot that a backfill counts in: appends use 0 to 31. */
const BACKFILL_SLOT = 32;

/** Events of the window that were stored when the revision came into force: one page, in order of identity by time. */
export async function eventsToBackfill(
  db: Sql,
  { definition, snapshot, counted_from }: Version,
  after: { occurred_at: number; event_id: string } | null,
  limit: number,
): Promise<Event[]> {
  const { event_type, severity } = definition;
  const { rows } = await sql<Event>`
    select event_id, (extract(epoch from occurred_at) * 1000)::float8 as occurred_at, source_id, severity, event_type, payload
    from events
    where occurred_at >= to_timestamp(${counted_from}::float8 / 1000)
      ${after === null ? sql`` : sql`and (occurred_at, event_id) > (to_timestamp(${after.occurred_at}::float8 / 1000), ${after.event_id}::uuid)`}
      ${event_type === null ? sql`` : sql`and event_type = ${event_type}`}
      ${severity === null ? sql`` : sql`and severity = ${severity}`}
      and pg_visible_in_snapshot(xid, ${snapshot}::pg_snapshot)
    order by occurred_at, event_id limit ${limit}`.execute(db);
  return rows;
}

/** Replaces what an earlier, broken-off backfill counted. */
export async function writeBackfill(
  db: Sql,
  { rule_id, revision }: Version,
  counts: readonly { g: string; b: number; n: number }[],
): Promise<void> {
  await sql`
    delete from window_counts where rule_id = ${rule_id} and revision = ${revision} and slot = ${BACKFILL_SLOT}`.execute(
    db,
  );
  await sql`
    insert into window_counts (rule_id, revision, group_key, bucket, slot, n)
    select ${rule_id}::uuid, ${revision}::int, g, b, ${BACKFILL_SLOT}, n
    from jsonb_to_recordset(${JSON.stringify(counts)}::jsonb) as x(g text, b bigint, n int)`.execute(db);
}

/** Marks the revision ready and every group that it counted as pending. */
export async function markReady(
  db: Sql,
  { rule_id, revision }: Version,
  groups: readonly { group_key: string; from_at: number; to_at: number }[],
): Promise<void> {
  await notePending(db, rule_id, revision, groups);
  await sql`update rule_versions set ready = true where rule_id = ${rule_id} and revision = ${revision}`.execute(
    db,
  );
}

/** Notes groups for judging, in time (not late). Epoch ms. */
export async function notePending(
  db: Sql,
  ruleId: string,
  revision: number,
  groups: readonly { group_key: string; from_at: number; to_at: number }[],
): Promise<void> {
  await sql`
    insert into pending_evaluations as p (rule_id, revision, group_key, late, from_at, to_at)
    select ${ruleId}::uuid, ${revision}::int, group_key, false, from_at, to_at
    from jsonb_to_recordset(${JSON.stringify(groups)}::jsonb) as x(group_key text, from_at bigint, to_at bigint)
    order by group_key
    on conflict (rule_id, revision, group_key, late) do update
      set from_at = least(p.from_at, excluded.from_at), to_at = greatest(p.to_at, excluded.to_at)`.execute(
    db,
  );
}

/** Waits for wakers that hold outbox rows of before this call, and leaves none. */
export async function outboxHolders(db: Sql): Promise<number> {
  const { rows } = await sql`select id from wake_outbox order by id limit 1000 for update`.execute(db);
  return rows.length;
}

/** Groups of a rule that are not ok. Epoch ms. */
export async function busyGroups(
  db: Sql,
  ruleId: string,
): Promise<{ group_key: string; state: string; since: number; next_due: number }[]> {
  const { rows } = await sql<{ group_key: string; state: string; since: number; next_due: number }>`
    select group_key, state, since::float8 as since, next_due::float8 as next_due from rule_groups
    where rule_id = ${ruleId} and state <> 'ok' order by group_key for update`.execute(db);
  return rows;
}

/** All groups of a rule are taken for ok until they are judged anew. */
export async function resetGroups(db: Sql, ruleId: string): Promise<void> {
  await sql`
    update rule_groups set state = 'ok', since = null, next_due = null
    where rule_id = ${ruleId} and state <> 'ok'`.execute(db);
}

/** Groups by fields that the rule no longer groups by. */
export async function forgetGroups(db: Sql, ruleId: string, groupKeys: readonly string[]): Promise<void> {
  await sql`delete from rule_groups where rule_id = ${ruleId} and group_key = any(${groupKeys}::text[])`.execute(
    db,
  );
}

/** Closes the books on a revision: its counts and what was pending for it go. */
export async function closeRevision(db: Sql, { rule_id, revision }: Version): Promise<void> {
  await sql`update rule_versions set settled = true where rule_id = ${rule_id} and revision = ${revision}`.execute(
    db,
  );
  await sql`delete from pending_evaluations where rule_id = ${rule_id} and revision <= ${revision}`.execute(
    db,
  );
  await sql`delete from window_counts where rule_id = ${rule_id} and revision <= ${revision}`.execute(db);
}

/** Removes what is left of a deleted rule. Its incidents stay. */
export async function removeRule(db: Sql, ruleId: string): Promise<void> {
  for (const table of [
    'pending_evaluations',
    'window_counts',
    'rule_groups',
    'rule_overflow',
    'rule_versions',
  ]) {
    await sql`delete from ${sql.table(table)} where rule_id = ${ruleId}`.execute(db);
  }
  await sql`delete from alert_rules where id = ${ruleId}`.execute(db);
}

/** How many groups stand where, for people to see. */
export async function standingCounts(db: Sql, ruleId: string): Promise<{ firing: number; pending: number }> {
  const { rows } = await sql<{ firing: number; pending: number }>`
    select count(*) filter (where state = 'firing')::int as firing, count(*) filter (where state = 'pending')::int as pending
    from rule_groups where rule_id = ${ruleId} and state <> 'ok'`.execute(db);
  return rows[0]!;
}
