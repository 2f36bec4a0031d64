import { sql } from 'kysely';
import { LOCKS, lockRuleSet, newRuleSetVersion } from '../../locks.ts';
import { type Orm, type Sql, sqlOf, transaction } from '../../orm.ts';
import { LAYERS_OF_V } from './layers.ts';

/** How many groups one transaction deletes. Appends with new groups of the rule may wait for it. */
const AT_ONCE = 200;

/** How many groups of one rule a round deletes. */
const MOST_FORGOTTEN = 20_000;

/** The condition that a group `g` is idle, for a rule whose revision in force is `v`. */
const idle = sql`
  g.state = 'ok' and g.group_key not in ('', '*')
  and not exists (
    select from window_counts c
    where c.rule_id = g.rule_id and c.revision = ${LAYERS_OF_V} and c.group_key = g.group_key)
  and not exists (select from pending_evaluations p where p.rule_id = g.rule_id and p.group_key = g.group_key)`;

/**
 * Deletes idle groups (ok, and nothing counted) of rules that are nearly full, so that others can be
 * admitted.
 *
 * Appending processes remember which groups are admitted. So the rule is first marked, while no append runs,
 * as one whose groups must not be remembered. From then on each append asks, under the same lock that a
 * deletion takes. Then groups are deleted a few at a time while appends continue.
 * @param progress called after each part; if it throws, the call ends, and the next call continues
 */
export async function forgetIdleGroups(orm: Orm, progress: () => void = () => {}): Promise<number> {
  let gone = 0;
  for (const rule of await nearlyFull(sqlOf(orm))) {
    const keys = await idleGroups(sqlOf(orm), rule);
    if (keys.length > 0) {
      await setForgetting(orm, rule, true);
      for (let i = 0; i < keys.length; i += AT_ONCE) {
        const deleted = await deleteIdle(orm, rule, keys.slice(i, i + AT_ONCE));
        if (deleted === null) break;
        gone += deleted;
        progress();
      }
    }
    // Also after a crash, which leaves the mark in place.
    if (keys.length > 0 || rule.forgetting) await setForgetting(orm, rule, false);
    progress();
  }
  return gone;
}

interface Forgetful {
  rule_id: string;
  revision: number;
  forgetting: boolean;
}

async function nearlyFull(db: Sql): Promise<Forgetful[]> {
  const { rows } = await sql<Forgetful>`
    select v.rule_id, v.revision, v.forgetting from rule_versions v
    where v.superseded_at is null and v.ready and (v.forgetting or v.rule_id in (
      select g.rule_id from rule_groups g
      join rule_versions w on w.rule_id = g.rule_id and w.superseded_at is null and g.groups_from >= w.groups_from
      group by g.rule_id, (w.definition->>'max_groups')::int
      having count(*) >= 0.8 * (w.definition->>'max_groups')::int))`.execute(db);
  return rows;
}

async function idleGroups(db: Sql, { rule_id, revision }: Forgetful): Promise<string[]> {
  const { rows } = await sql<{ group_key: string }>`
    select g.group_key from rule_groups g
    join rule_versions v on v.rule_id = g.rule_id and v.revision = ${revision}
    where g.rule_id = ${rule_id} and ${idle} limit ${MOST_FORGOTTEN}`.execute(db);
  return rows.map(({ group_key }) => group_key);
}

/**
 * Sets or clears the mark that appending processes must not remember this rule's groups. An edit of the rule
 * clears it too.
 */
async function setForgetting(orm: Orm, { rule_id, revision }: Forgetful, forgetting: boolean): Promise<void> {
  const inForce = sql`rule_id = ${rule_id} and revision = ${revision} and superseded_at is null`;
  await transaction(orm, async (db) => {
    // A running judge must end before the rule set is locked. Otherwise every append would wait for it too.
    await sql`select from rule_versions where ${inForce} for no key update`.execute(db);
    if (forgetting) await lockRuleSet(db);
    await sql`update rule_versions set forgetting = ${forgetting} where ${inForce}`.execute(db);
    await newRuleSetVersion(db, rule_id);
  });
}

/**
 * Deletes those of the groups that are still idle. Null if the rule was edited meanwhile, because processes
 * may then remember groups again.
 */
async function deleteIdle(
  orm: Orm,
  { rule_id, revision }: Forgetful,
  keys: readonly string[],
): Promise<number | null> {
  return transaction(orm, async (db) => {
    const { rows } = await sql`
      select from rule_versions
      where rule_id = ${rule_id} and revision = ${revision} and superseded_at is null and forgetting
      for share`.execute(db);
    if (rows.length === 0) return null;
    await sql`select pg_advisory_xact_lock(${LOCKS.groups}, hashtext(${rule_id}::uuid::text))`.execute(db);
    // Groups that a judge has locked are skipped: if this waited, appends would wait too.
    const { numAffectedRows } = await sql`
      delete from rule_groups where ctid = any(array(
        select g.ctid from rule_groups g
        join rule_versions v on v.rule_id = g.rule_id and v.revision = ${revision}
        where g.rule_id = ${rule_id} and g.group_key = any(${keys}::text[]) and ${idle}
        for update of g skip locked))`.execute(db);
    return Number(numAffectedRows ?? 0);
  });
}

/**
 * Deletes groups of an earlier `group_by`. They do not count towards the limit, and nobody counts for them.
 */
export async function forgetRegrouped(orm: Orm, ruleId: string): Promise<void> {
  for (;;) {
    const { numAffectedRows } = await sql`
      delete from rule_groups where ctid = any(array(
        select g.ctid from rule_groups g
        join rule_versions v on v.rule_id = g.rule_id and v.superseded_at is null and g.groups_from < v.groups_from
        where g.rule_id = ${ruleId} and g.state = 'ok' and g.group_key <> '*'
        limit ${AT_ONCE} for update of g skip locked))`.execute(sqlOf(orm));
    if (Number(numAffectedRows ?? 0) < AT_ONCE) return;
  }
}
