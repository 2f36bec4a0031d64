import { type Orm, transaction } from '../../db/orm.ts';
import {
  bucketCounts,
  countedEvents,
  deletePending,
  type GroupIncident,
  holdVersion,
  incidentsOnRecord,
  lastEpisodes,
  lockGroups,
  type PendingRow,
  type RuleWords,
  readWatermark,
  takePending,
  updateGroups,
  type Version,
} from '../../db/queries/judging.ts';
import { compileGroupKey, OVERFLOW_GROUP } from '../../domain/group.ts';
import { reconcile } from '../../domain/incident.ts';
import { compileMatchers } from '../../domain/matcher.ts';
import { windowSpecOf } from '../../domain/rule.ts';
import { startOf } from '../../domain/start.ts';
import { type Episode, type Horizon, judge, type Standing } from '../../domain/transition.ts';
import { bucketOf, NeedsTimes, WindowCounts } from '../../domain/window.ts';
import { matchersOf } from '../../ingest/rule-set.ts';
import { record } from './record.ts';

/** Groups judged in one transaction at the most. */
const GROUPS_A_PASS = 200;

export interface Pass {
  /** Pending groups that were judged; 0 when there was nothing to do. */
  judged: number;
  /** Some group moved: its pending row is kept, and the next pass looks again. */
  moved: boolean;
  /** Incidents that changed and must hear of it. */
  incidents: string[];
}

interface GroupToJudge {
  key: string;
  pending: PendingRow[];
  from: number;
  incidents: GroupIncident[];
}

/**
 * Judges the pending groups of one revision: locks them, reads counts, decides, and records, in one transaction.
 * A group whose standing changes keeps its pending row for another pass after the commit. The waker reads standings without a
 * lock, so an event may be passed over as "firing anyway" in the moment its group stops firing; the next pass sees it.
 * @param now epoch ms
 */
export async function judgePending(orm: Orm, version: Version, words: RuleWords, now: number): Promise<Pass> {
  return transaction(orm, async (db, em) => {
    const nothing = { judged: 0, moved: false, incidents: [] };
    if (!(await holdVersion(db, version))) return nothing;
    const pending = await takePending(db, version, GROUPS_A_PASS);
    if (pending.length === 0) return nothing;
    const horizon = await horizonOf(db, version, now);
    const spec = windowSpecOf(version.definition);
    const keys = [...new Set(pending.map(({ group_key }) => group_key))];
    const standings = await lockGroups(db, version.rule_id, keys);

    const earliest = Math.min(...pending.map(({ from_at }) => from_at));
    const reach = Math.max(spec.forMs, spec.keepFiringMs) + 1;
    const onRecord = await incidentsOnRecord(db, version.rule_id, keys, earliest - 1 - reach);
    const groups = keys.map((key): GroupToJudge => {
      const mine = pending.filter(({ group_key }) => group_key === key);
      return {
        key,
        pending: mine,
        from: Math.min(...mine.map(({ from_at }) => from_at)),
        incidents: onRecord.filter(({ group_key }) => group_key === key),
      };
    });
    const starts = new Map(
      groups.map(({ key, from, incidents }) => {
        const effectiveAt = version.revision === 1 ? null : version.effective_at;
        const candidates = incidents.map((i) => ({ ...i, carried: i.revision === version.revision }));
        return [key, startOf({ from, spec, effectiveAt, incidents: candidates })] as const;
      }),
    );
    const counts = await bucketCounts(
      db,
      version,
      groups.map(({ key }) => ({
        group_key: key,
        from: bucketOf(starts.get(key)!.at - spec.windowMs, spec.bucketMs),
      })),
    );

    const matches = compileMatchers(matchersOf(version.definition));
    const groupKey = compileGroupKey(version.definition.group_by);
    const times = new Map(keys.map((key) => [key, new Map<number, number[]>()]));
    const judged = new Map<string, { episodes: (Episode & { observed: number })[]; standing: Standing }>();
    let open = groups;
    while (open.length > 0) {
      const needed = new Set<number>();
      const undecided: GroupToJudge[] = [];
      for (const group of open) {
        try {
          const window = new WindowCounts(spec, counts.get(group.key)!, times.get(group.key)!);
          const { episodes, standing } = judge(window, spec, starts.get(group.key)!, horizon);
          judged.set(group.key, {
            episodes: episodes.map((e) => ({ ...e, observed: window.countAt(e.opened_at) })),
            standing,
          });
        } catch (error) {
          if (!(error instanceof NeedsTimes)) throw error;
          undecided.push(group);
          if (group.key === OVERFLOW_GROUP)
            spread(error.buckets, counts.get(group.key)!, times.get(group.key)!);
          else {
            for (const bucket of error.buckets) {
              needed.add(bucket);
              times.get(group.key)!.set(bucket, []);
            }
          }
        }
      }
      if (needed.size > 0) {
        const ranges = [...needed].sort((a, b) => a - b).map((from) => ({ from, to: from + spec.bucketMs }));
        // Every undecided group gets what was read, so that none is left with a part of a bucket.
        for (const group of undecided) {
          if (group.key === OVERFLOW_GROUP) continue;
          for (const { from } of ranges) times.get(group.key)!.set(from, []);
        }
        const known = new Set(undecided.map(({ key }) => key));
        for (const event of await countedEvents(db, version, ranges)) {
          if (!matches(event)) continue;
          const key = groupKey(event);
          if (!known.has(key)) continue;
          times.get(key)!.get(bucketOf(event.occurred_at, spec.bucketMs))!.push(event.occurred_at);
        }
        for (const group of undecided) {
          for (const { from } of ranges)
            times
              .get(group.key)
              ?.get(from)
              ?.sort((a, b) => a - b);
        }
      }
      open = undecided;
    }

    const episodes = await lastEpisodes(db, version.rule_id, keys);
    const incidents = new Set<string>();
    const moved: string[] = [];
    for (const group of groups) {
      const { episodes: found, standing } = judged.get(group.key)!;
      const changes = reconcile(group.incidents, found);
      const touched = await record(em, db, {
        version,
        words,
        groupKey: group.key,
        changes,
        onRecord: group.incidents,
        lastEpisode: episodes.get(group.key) ?? 0,
        observed: new Map(found.map((e) => [e.opened_at, e.observed])),
        isLate: (since) => cameLate(group.pending, since, spec.windowMs),
        now,
      });
      for (const id of touched) incidents.add(id);
      const before = standings.get(group.key)!;
      const since = standing.state === 'ok' ? null : standing.since;
      if (before.state !== standing.state || before.since !== since) moved.push(group.key);
    }
    await em.flush();
    await updateGroups(
      db,
      version.rule_id,
      groups.map(({ key }) => {
        const { standing } = judged.get(key)!;
        if (standing.state === 'ok') return { group_key: key, state: 'ok', since: null, next_due: null };
        return { group_key: key, state: standing.state, since: standing.since, next_due: standing.due };
      }),
    );
    const settledKeys = keys.filter((key) => !moved.includes(key));
    if (settledKeys.length > 0) await deletePending(db, version, settledKeys);
    return { judged: groups.length, moved: moved.length > 0, incidents: [...incidents] };
  });
}

/** Opening goes by the clock, ending by the watermark; a revision that was superseded judges up to then, and for good. */
async function horizonOf(
  db: Parameters<typeof readWatermark>[0],
  { superseded_at }: Version,
  now: number,
): Promise<Horizon> {
  if (superseded_at !== null) return { openUpTo: superseded_at - 1, endUpTo: superseded_at };
  return { openUpTo: now, endUpTo: Math.min(now, await readWatermark(db)) };
}

/** Late is what began among events that came late, and not among those that came in time. */
function cameLate(pending: readonly PendingRow[], since: number, windowMs: number): boolean {
  const inTime = pending.some(({ late, from_at, to_at }) => !late && from_at <= since && since <= to_at);
  return (
    !inTime &&
    pending.some(({ late, from_at, to_at }) => late && from_at <= since && since <= to_at + windowMs)
  );
}

/** Overflow groups are good to a bucket: which events went there is not kept, so all stand at their bucket's start. */
function spread(buckets: readonly number[], counts: Map<number, number>, times: Map<number, number[]>): void {
  for (const bucket of buckets) times.set(bucket, Array(counts.get(bucket) ?? 0).fill(bucket));
}
