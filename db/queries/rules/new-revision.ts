import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { keepsMeasure, MOST_LAYERS } from '../../../domain/rules/measure.ts';
import { type RuleDefinition, windowSpecOf } from '../../../domain/rules/rule.ts';
import { type AlertRule, RuleVersionEntity } from '../../entities/rule.ts';
import { LOCKS, lockRuleSet, newRuleSetVersion } from '../../locks.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';

/** The revision in force, which another one will replace. */
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
 * Makes a revision of the rule's current definition. While the snapshot is taken, no append is running. So
 * each event is either visible in the snapshot, and the backfill counts it, or it is appended later, and that
 * append counts it. Everything that can be read before the lock is read before, because appends wait for it.
 *
 * If the revision has the same measure as the one it replaces, it continues with its counts. From now on
 * appends count in another layer, so the replaced revision does not see later events. The new revision needs
 * no backfill: it is ready if the other one was.
 * @param anew true to count everything again, because the counts are wrong. `now`: epoch ms
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
 * Reads and locks the revision in force, after a running judge or portion of a backfill has ended. A judge
 * must end before the rule set is locked: otherwise every append would wait for it too. Null for a new rule.
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
 * Determines from when on the new definition is in force, epoch ms. Normally from now on. If the enabled
 * revision before it was not ready yet, it has judged nothing; then the new one takes its place from its
 * start, so that no window is missed.
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

/** The revision that introduced the rule's current `group_by`. */
function groupsFromOf(rule: AlertRule, before: Replaced | null): number {
  if (!before) return 0;
  const same = canonicalJson(before.definition.group_by) === canonicalJson(rule.definition.group_by);
  return same ? before.groups_from : rule.revision;
}

/**
 * The first layer of counts that the next revision reads if it continues with those of the one in force: the
 * oldest layer that still has counts. Once a layer has a successor, nothing is counted in it. Null if the
 * next revision has another measure, or if there are too many layers.
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
