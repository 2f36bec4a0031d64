import { sql } from 'kysely';
import { LOCKS, lockRuleSet, newRuleSetVersion } from '../../locks.ts';
import { type Orm, type Sql, sqlOf, transaction } from '../../orm.ts';
import { LAYERS_OF_V } from './layers.ts';

/** Groups deleted in one transaction: appends with new groups of the rule may wait for it. */
const AT_ONCE = 200;

/** Groups of one rule let go of in one round. */
const MOST_FORGOTTEN = 20_000;

/** What is idle, of a group `g` of a rule whose revision in force is `v`. */
const idle = sql`
  g.state = 'ok' and g.group_key not in ('', '*')
  and not exists (
    select from window_counts c
    where c.rule_id = g.rule_id and c.revision = ${LAYERS_OF_V} and c.group_key = g.group_key)
  and not exists (select from pending_evaluations p where p.rule_id = g.rule_id and p.group_key = g.group_key)`;

/**
 * Lets go of groups that are ok and have nothing counted, of rules that are nearly full, so that others can
 * be admitted.
 *
 * An appending process believes that the groups it knows are admitted. So it is first told, in an instant
 * without appends, to remember none of this rule: from then on whoever counts for a group asks, under the
 * same lock that a deletion takes. Then groups are deleted a few at a time while appends go on.
 * @param progress called after each piece of work; if it throws, the call ends, and the next call continues
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
    // Also after a crash, which leaves every append asking.
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

/** Whether appending processes may remember this rule's groups. An edit meanwhile lets them. */
async function setForgetting(orm: Orm, { rule_id, revision }: Forgetful, forgetting: boolean): Promise<void> {
  const inForce = sql`rule_id = ${rule_id} and revision = ${revision} and superseded_at is null`;
  await transaction(orm, async (db) => {
    // A judge in hand ends before the rule-set lock is taken, or every append would wait for it too.
    await sql`select from rule_versions where ${inForce} for no key update`.execute(db);
    if (forgetting) await lockRuleSet(db);
    await sql`update rule_versions set forgetting = ${forgetting} where ${inForce}`.execute(db);
    await newRuleSetVersion(db, rule_id);
  });
}

/**
 * Deletes those of the groups that are idle still. Null when the rule was edited, so that processes may know
 * groups of it.
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
    // A group that a judge has in hand is not waited for: appends would wait too.
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
 * Deletes groups by fields that the rule no longer groups by: they take no room, and nobody counts for them.
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
