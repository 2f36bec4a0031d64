import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import type { Version } from './judging.ts';
import { mergePending } from './wake.ts';

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
    ${mergePending}`.execute(db);
}

/** Outbox rows of now, once no waker has any of them in hand. */
export async function outboxIds(db: Sql, upTo: string | null): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from wake_outbox ${upTo === null ? sql`` : sql`where id <= ${upTo}::bigint`}
    order by id limit 1000 for update`.execute(db);
  return rows.map(({ id }) => id);
}

/** The youngest outbox row; null when there is none. */
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
  /** It has an episode that is no incident yet. */
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
 * All groups of a rule are taken for ok until they are judged anew. The waker may have passed over events of
 * the next revision because such a group fired by the last one: what is on record doesn't prove that nothing
 * has changed since.
 */
export async function resetGroups(db: Sql, ruleId: string): Promise<void> {
  await sql`
    update rule_groups set state = 'ok', since = null, next_due = null, deferred_from = null, deferred_late = null,
      unproven = true
    where rule_id = ${ruleId} and state <> 'ok'`.execute(db);
}

/**
 * Closes the books on all revisions before one: what was pending for them goes, except for groups that could
 * not be judged. Revisions with such groups have handed over, but are not settled. The counts and the rows of
 * settled ones go later, bit by bit.
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
 * Notes for groups that could not be judged what their standing says is to be judged: it is reset, or the
 * successor's, before they are tried again.
 */
export async function keepStandings(db: Sql, { rule_id, revision }: Version): Promise<void> {
  await sql`
    update pending_evaluations p
    set from_at = least(p.from_at, g.deferred_from, g.next_due, case when g.state = 'pending' then g.since end)
    from rule_groups g
    where p.rule_id = ${rule_id} and p.revision = ${revision} and p.failures > 0
      and g.rule_id = p.rule_id and g.group_key = p.group_key and g.state <> 'ok'`.execute(db);
}

/** Settles a revision that has handed over, once none of its groups are left to be judged. */
export async function settleLeft(db: Sql, { rule_id, revision }: Version): Promise<void> {
  await sql`
    update rule_versions v set settled = true
    where rule_id = ${rule_id} and revision = ${revision} and handed_over and not exists (
      select from pending_evaluations p where p.rule_id = v.rule_id and p.revision = v.revision)`.execute(db);
}

/** Whether groups of a revision that has handed over are still to be judged. */
export async function hasLeftGroups(db: Sql, ruleId: string): Promise<boolean> {
  const { rows } = await sql`
    select from rule_versions where rule_id = ${ruleId} and handed_over and not settled limit 1`.execute(db);
  return rows.length > 0;
}

/**
 * Whether a rule is deleted and all of its superseded revisions are settled: nothing of it is to be judged
 * any more.
 */
export async function isOver(db: Sql, ruleId: string): Promise<boolean> {
  const { rows } = await sql`
    select from alert_rules where id = ${ruleId} and deleted_at is not null and not exists (
      select from rule_versions v where v.rule_id = id and v.superseded_at is not null and not v.settled)`.execute(
    db,
  );
  return rows.length > 0;
}

/** Removes what is left of a rule. Its incidents stay. */
export async function removeRule(db: Sql, ruleId: string): Promise<void> {
  // A judge or a backfill in hand ends first, and the next finds nothing to judge.
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

/** How many groups stand where, for people to see. */
export async function standingCounts(db: Sql, ruleId: string): Promise<{ firing: number; pending: number }> {
  const { rows } = await sql<{ firing: number; pending: number }>`
    select count(*) filter (where state = 'firing')::int as firing, count(*) filter (where state = 'pending')::int as pending
    from rule_groups where rule_id = ${ruleId} and state <> 'ok'`.execute(db);
  return rows[0]!;
}
