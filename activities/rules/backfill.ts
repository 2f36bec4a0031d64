import { type Orm, type Sql, transaction } from '../../db/orm.ts';
import { dayOf, ensureDay } from '../../db/partitions.ts';
import { admitGroups, countOverflow } from '../../db/queries/append.ts';
import { keepVersion, type Version } from '../../db/queries/judging.ts';
import { foldAlerts, groupsAfter } from '../../db/queries/received-judging.ts';
import { BACKFILL_SLOT, eventsToBackfill, markReady, writeBackfill } from '../../db/queries/revisions.ts';
import { DAY_MS, MAX_AHEAD_MS } from '../../domain/event.ts';
import { OVERFLOW_GROUP } from '../../domain/group.ts';
import { bucketOf } from '../../domain/window.ts';
import { compileRule } from '../../ingest/rule-set.ts';

/** Events read at once. */
const PAGE = 2_000;

/**
 * Counts the events that were in a new revision's window when it came into force, in one transaction that can be
 * broken off and begun again. Appends go on meanwhile: what they store is not visible in the revision's snapshot.
 */
export async function backfill(orm: Orm, version: Version): Promise<void> {
  if (version.definition.condition.kind === 'received') return takeUpReceived(orm, version);
  const rule = compileRule(version);
  // A window may reach back further than any rule's did before: its counts need partitions that retention dropped.
  const first = dayOf(bucketOf(version.counted_from, rule.bucketMs));
  for (let day = first; day <= version.effective_at + MAX_AHEAD_MS; day += DAY_MS) await ensureDay(orm, day);
  await transaction(orm, async (db) => {
    if (!(await keepVersion(db, version))) return;
    const counts = new Map<string, { g: string; b: number; n: number }>();
    let after: { occurred_at: number; event_id: string } | null = null;
    while (true) {
      const page: Awaited<ReturnType<typeof eventsToBackfill>> = await eventsToBackfill(
        db,
        version,
        after,
        PAGE,
      );
      for (const event of page) {
        if (!rule.matches(event)) continue;
        const g = rule.groupKey(event);
        const b = bucketOf(event.occurred_at, rule.bucketMs);
        const key = `${b} ${g}`;
        const count = counts.get(key);
        if (count) count.n++;
        else counts.set(key, { g, b, n: 1 });
      }
      if (page.length < PAGE) break;
      after = page.at(-1)!;
    }
    const folded = await fold(db, version, rule.maxGroups, [...counts.values()]);
    await writeBackfill(db, version, folded);
    const spans = new Map<string, { group_key: string; from_at: number; to_at: number }>();
    for (const { g, b } of folded) {
      const span = spans.get(g) ?? { group_key: g, from_at: version.counted_from, to_at: b };
      span.to_at = Math.max(span.to_at, b + rule.bucketMs);
      spans.set(g, span);
    }
    await markReady(db, version, [...spans.values()]);
  });
}

/** Has a new revision judge the alerts that are active: nothing of them is counted. */
async function takeUpReceived(orm: Orm, version: Version): Promise<void> {
  const { rule_id, definition, effective_at } = version;
  await transaction(orm, async (db) => {
    if (!(await keepVersion(db, version))) return;
    const groups = await groupsAfter(db, rule_id, effective_at);
    const keys = groups.map(({ group_key }) => group_key).filter((key) => key !== OVERFLOW_GROUP);
    const wanted = keys.map((group_key) => ({ rule_id, group_key, max_groups: definition.max_groups }));
    const admitted = new Set((await admitGroups(db, wanted)).map(({ group_key }) => group_key));
    const refused = keys.filter((key) => !admitted.has(key));
    if (refused.length > 0) await foldAlerts(db, rule_id, refused, OVERFLOW_GROUP);
    await markReady(db, version, await groupsAfter(db, rule_id, effective_at));
  });
}

/** Admits the groups under the rule's cap and folds the rest into the overflow group, where they are counted. */
async function fold(
  db: Sql,
  version: Version,
  maxGroups: number,
  counts: { g: string; b: number; n: number }[],
) {
  const groups = [...new Set(counts.map(({ g }) => g))].sort();
  if (groups.length === 0) return [];
  const admitted = new Set(
    (
      await admitGroups(
        db,
        groups.map((group_key) => ({
          rule_id: version.rule_id,
          group_key,
          max_groups: maxGroups,
        })),
      )
    ).map(({ group_key }) => group_key),
  );
  const folded = new Map<string, { g: string; b: number; n: number }>();
  let overflow = 0;
  for (const { g, b, n } of counts) {
    const group = admitted.has(g) ? g : OVERFLOW_GROUP;
    if (group === OVERFLOW_GROUP) overflow += n;
    const key = `${b} ${group}`;
    const count = folded.get(key);
    if (count) count.n += n;
    else folded.set(key, { g: group, b, n });
  }
  if (overflow > 0) await countOverflow(db, BACKFILL_SLOT, new Map([[version.rule_id, overflow]]));
  return [...folded.values()];
}
