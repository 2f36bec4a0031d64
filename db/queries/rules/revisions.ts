import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import type { Version } from './judging.ts';
import { mergePending } from './wake.ts';

/** Notes groups for judging, as touched by events that came in time. Epoch ms. */
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
    ${mergePending}`.execute(db);
}

/** The ids of the outbox rows that exist now. It waits until no waker is processing any of them. */
export async function outboxIds(db: Sql, upTo: string | null): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from wake_outbox ${upTo === null ? sql`` : sql`where id <= ${upTo}::bigint`}
    order by id limit 1000 for update`.execute(db);
  return rows.map(({ id }) => id);
}

/** The id of the newest outbox row; null if there is none. */
export async function youngestOutboxId(db: Sql): Promise<string | null> {
  const { rows } = await sql<{ id: string | null }>`select max(id) as id from wake_outbox`.execute(db);
  return rows[0]!.id;
}

/** A group that is not ok. Epoch ms. */
interface BusyGroup {
  group_key: string;
  state: string;
  since: number;
  next_due: number;
  /** True if it has an episode that is not an incident yet. */
  deferred: boolean;
}

/** Groups of a rule that are not ok. */
export async function busyGroups(db: Sql, ruleId: string): Promise<BusyGroup[]> {
  const { rows } = await sql<BusyGroup>`
    select group_key, state, since::float8 as since, next_due::float8 as next_due,
      deferred_from is not null as deferred
    from rule_groups
    where rule_id = ${ruleId} and state <> 'ok' order by group_key for update`.execute(db);
  return rows;
}

/**
 * Sets the standing of all groups to ok and unproven, until they are judged again. The waker may have ignored
 * events of the next revision because a group fired by the previous one, so stored standings prove nothing.
 */
export async function resetGroups(db: Sql, ruleId: string): Promise<void> {
  await sql`
    update rule_groups set state = 'ok', since = null, next_due = null, deferred_from = null, deferred_late = null,
      unproven = true
    where rule_id = ${ruleId} and state <> 'ok'`.execute(db);
}

/**
 * Closes all revisions that are earlier than `before`. It deletes their pending evaluations, except those of
 * groups that could not be judged. It marks a revision with such groups as handed over, and every other one
 * as settled. The counts of settled revisions are deleted later, in parts.
 */
export async function closeRevisions(db: Sql, ruleId: string, before: number): Promise<void> {
  await sql`
    delete from pending_evaluations
    where rule_id = ${ruleId} and revision < ${before} and failures = 0`.execute(db);
  await sql`
    update rule_versions v set handed_over = true, settled = not exists (
      select from pending_evaluations p where p.rule_id = v.rule_id and p.revision = v.revision)
    where rule_id = ${ruleId} and revision < ${before} and not settled`.execute(db);
}

/**
 * For groups that could not be judged, stores in their pending evaluation what their standing still requires
 * to be judged. The standing itself is reset before they are tried again.
 */
export async function keepStandings(db: Sql, { rule_id, revision }: Version): Promise<void> {
  await sql`
    update pending_evaluations p
    set from_at = least(p.from_at, g.deferred_from, g.next_due, case when g.state = 'pending' then g.since end)
    from rule_groups g
    where p.rule_id = ${rule_id} and p.revision = ${revision} and p.failures > 0
      and g.rule_id = p.rule_id and g.group_key = p.group_key and g.state <> 'ok'`.execute(db);
}

/** Settles a revision that has handed over, once all of its groups are judged. */
export async function settleLeft(db: Sql, { rule_id, revision }: Version): Promise<void> {
  await sql`
    update rule_versions v set settled = true
    where rule_id = ${rule_id} and revision = ${revision} and handed_over and not exists (
      select from pending_evaluations p where p.rule_id = v.rule_id and p.revision = v.revision)`.execute(db);
}

/** Says whether groups of revisions that have handed over still have to be judged. */
export async function hasLeftGroups(db: Sql, ruleId: string): Promise<boolean> {
  const { rows } = await sql`
    select from rule_versions where rule_id = ${ruleId} and handed_over and not settled limit 1`.execute(db);
  return rows.length > 0;
}

/** Says whether a rule is deleted and all of its revisions are settled, so that nothing is left to judge. */
export async function isOver(db: Sql, ruleId: string): Promise<boolean> {
  const { rows } = await sql`
    select from alert_rules where id = ${ruleId} and deleted_at is not null and not exists (
      select from rule_versions v where v.rule_id = id and v.superseded_at is not null and not v.settled)`.execute(
    db,
  );
  return rows.length > 0;
}

/** Removes the remaining rows of a rule. Its incidents stay. */
export async function removeRule(db: Sql, ruleId: string): Promise<void> {
  // A running judge or backfill ends first. The next one finds nothing to do.
  await sql`select 1 from rule_versions where rule_id = ${ruleId} order by revision for update`.execute(db);
  for (const table of [
    'pending_evaluations',
    'window_times',
    'window_counts',
    'rule_groups',
    'rule_overflow',
    'rule_versions',
  ]) {
    await sql`delete from ${sql.table(table)} where rule_id = ${ruleId}`.execute(db);
  }
  await sql`delete from alert_rules where id = ${ruleId}`.execute(db);
}

/** How many groups have which standing, to show it to people. */
export async function standingCounts(db: Sql, ruleId: string): Promise<{ firing: number; pending: number }> {
  const { rows } = await sql<{ firing: number; pending: number }>`
    select count(*) filter (where state = 'firing')::int as firing, count(*) filter (where state = 'pending')::int as pending
    from rule_groups where rule_id = ${ruleId} and state <> 'ok'`.execute(db);
  return rows[0]!;
}
