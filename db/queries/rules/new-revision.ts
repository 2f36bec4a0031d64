import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { keepsMeasure, MOST_LAYERS } from '../../../domain/rules/measure.ts';
import { type RuleDefinition, windowSpecOf } from '../../../domain/rules/rule.ts';
import { type AlertRule, RuleVersionEntity } from '../../entities/rule.ts';
import { LOCKS, lockRuleSet, newRuleSetVersion } from '../../locks.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';

/** The revision in force, before another takes its place. */
interface Replaced {
  revision: number;
  definition: RuleDefinition;
  enabled: boolean;
  ready: boolean;
  effective_at: number;
  counted_from: number;
  snapshot: string;
  counted_to: number | null;
  counted_to_id: string | null;
  groups_from: number;
  first_layer: number;
}

/**
 * Puts the rule's current words in force. Alone for an instant: no append is under way while the snapshot is
 * taken, so each event is either visible in it, and counted by the backfill, or appended later, and counted
 * there. All that can be looked up beforehand is: appends wait for this lock.
 *
 * A revision with the measure of the one that it replaces goes on with its counts. From now on appends count
 * in another layer, so the replaced revision never sees what comes after it. There is nothing to count then:
 * the new revision is as ready as the other was.
 * @param anew count all again: what was counted is wrong. `now`: epoch ms
 */
export async function newRevision(
  db: Sql,
  em: SqlEntityManager,
  rule: AlertRule,
  { now, anew = false }: { now: number; anew?: boolean },
): Promise<void> {
  const before = await holdReplaced(db, rule.id);
  const effectiveAt = await nextInstant(db, rule, before, now);
  const firstLayer = before && !anew ? await layerToGoOnFrom(db, rule, before) : null;
  // This lock prevents that counts are dropped which the new revision needs. It waits for a partition that is
  // being dropped.
  await sql`select pg_advisory_xact_lock_shared(${LOCKS.retention})`.execute(db);
  await lockRuleSet(db);
  const { rows } = await sql<{ snapshot: string }>`select pg_current_snapshot()::text as snapshot`.execute(
    db,
  );
  const { snapshot } = rows[0]!;
  const spec = windowSpecOf(rule.definition);
  await sql`
    update rule_versions set superseded_at = ${instant(effectiveAt)}, until_snapshot = ${snapshot}
    where rule_id = ${rule.id} and superseded_at is null`.execute(db);
  const counted =
    before && firstLayer !== null
      ? {
          ...{ snapshot: before.snapshot, countedFrom: new Date(before.counted_from), ready: before.ready },
          ...{ countedTo: dateOf(before.counted_to), countedToId: before.counted_to_id, firstLayer },
        }
      : {
          ...{ snapshot, countedFrom: new Date(effectiveAt - spec.windowMs), ready: !rule.enabled },
          ...{ countedTo: null, countedToId: null, firstLayer: null },
        };
  em.create(RuleVersionEntity, {
    ruleId: rule.id,
    revision: rule.revision,
    definition: rule.definition,
    enabled: rule.enabled,
    effectiveAt: new Date(effectiveAt),
    ...counted,
    windowMs: spec.windowMs,
    bucketMs: spec.bucketMs,
    threshold: spec.threshold,
    groupsFrom: groupsFromOf(rule, before),
    forgetting: false,
    supersededAt: null,
    handedOver: false,
    untilSnapshot: null,
    settled: false,
  });
  await em.flush();
  await newRuleSetVersion(db, rule.id);
}

const dateOf = (at: number | null) => (at === null ? null : new Date(at));

/**
 * Reads the revision in force and holds it as it is: no judge, and no portion of a backfill, is in hand. A
 * judge in hand ends before the rule-set lock is taken, or every append would wait for it too. Null for a new
 * rule.
 */
async function holdReplaced(db: Sql, ruleId: string): Promise<Replaced | null> {
  const { rows } = await sql<Replaced>`
    select revision, definition, enabled, ready, ${ms('effective_at')} as effective_at,
      ${ms('counted_from')} as counted_from, snapshot, ${ms('counted_to')} as counted_to, counted_to_id,
      groups_from, coalesce(first_layer, revision) as first_layer
    from rule_versions where rule_id = ${ruleId} and superseded_at is null for no key update`.execute(db);
  return rows[0] ?? null;
}

/**
 * From when on a rule's new words are in force, epoch ms: from now, or where an enabled revision was not
 * ready yet, from the instant of that one. It has judged nothing, so its successor judges in its place and
 * misses no window.
 */
async function nextInstant(db: Sql, rule: AlertRule, before: Replaced | null, now: number): Promise<number> {
  if (!before) return now;
  if (rule.enabled && before.enabled && !before.ready) return before.effective_at;
  const { rows } = await sql<{ latest: number | null }>`
    select (extract(epoch from max(opened_at)) * 1000)::float8 as latest from alert_incidents
    where rule_id = ${rule.id} and ended_at is null`.execute(db);
  // Two changes in one millisecond must still follow each other, and incidents that a process with a faster
  // clock opened must lie before.
  return Math.max(now, before.effective_at + 1, (rows[0]?.latest ?? 0) + 1);
}

/** The revision that brought the rule's present `group_by`. */
function groupsFromOf(rule: AlertRule, before: Replaced | null): number {
  if (!before) return 0;
  const same = canonicalJson(before.definition.group_by) === canonicalJson(rule.definition.group_by);
  return same ? before.groups_from : rule.revision;
}

/**
 * The first layer of counts that the rule's next revision reads if it goes on with those of the one in force:
 * the first that has counts still. Nothing is counted any more in a layer that was followed by another. Null
 * if the next revision has another measure, or there are too many layers.
 */
async function layerToGoOnFrom(db: Sql, rule: AlertRule, before: Replaced): Promise<number | null> {
  if (!rule.enabled || !before.enabled || !keepsMeasure(before.definition, rule.definition)) return null;
  const { revision, first_layer } = before;
  const { rows } = await sql<{ first: number | null }>`
    select min(revision) as first from window_counts
    where rule_id = ${rule.id} and revision between ${first_layer} and ${revision}`.execute(db);
  const first = rows[0]!.first ?? revision;
  return rule.revision - first < MOST_LAYERS ? first : null;
}
