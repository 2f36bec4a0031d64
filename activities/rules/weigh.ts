import type { Sql } from '../../db/orm.ts';
import { bucketCounts, type GroupIncident, type Version } from '../../db/queries/judging.ts';
import { type WindowSpec, windowSpecOf } from '../../domain/rule.ts';
import { startOf } from '../../domain/start.ts';
import { type Episode, type Horizon, type Judged, judge, type Start } from '../../domain/transition.ts';
import { bucketOf, NeedsTimes, WindowCounts } from '../../domain/window.ts';
import { readTimes } from './exact-times.ts';

/** A group to be weighed: from where on its events changed (epoch ms), and its incidents that may matter. */
export interface GroupToWeigh {
  key: string;
  from: number;
  incidents: readonly GroupIncident[];
}

/** `observed`: events in the window when it opened. */
export type Weighed = Judged<Episode & { observed: number }>;

/** What is known of a group's events: counts by bucket, and exact times of the buckets that had to be read. */
interface Known extends GroupToWeigh {
  start: Start;
  counts: Map<number, number>;
  times: Map<number, number[]>;
}

/** Buckets read at once at the most, unless one group has more: late events may reach back for days of seconds each. */
const MOST_BUCKETS = 200_000;

/**
 * Works out, for each group, when the rule fired: from counts by bucket, reading exact times only of the buckets that leave
 * the answer open, for all groups at once where their buckets are few.
 */
export async function weigh(
  db: Sql,
  version: Version,
  groups: readonly GroupToWeigh[],
  horizon: Horizon,
): Promise<Map<string, Weighed>> {
  const spec = windowSpecOf(version.definition);
  const result = new Map<string, Weighed>();
  for (const some of portions(groups, spec, horizon)) {
    for (const [key, weighed] of await weighAtOnce(db, version, some, horizon)) result.set(key, weighed);
  }
  return result;
}

/** Groups by how many buckets they may have from where their events changed on. */
export function portions(
  groups: readonly GroupToWeigh[],
  { windowMs, forMs, keepFiringMs, bucketMs }: WindowSpec,
  { openUpTo }: Horizon,
): GroupToWeigh[][] {
  const result: GroupToWeigh[][] = [];
  let buckets = MOST_BUCKETS;
  for (const group of groups) {
    const reach = Math.max(0, openUpTo - group.from) + windowMs + Math.max(forMs, keepFiringMs);
    const most = Math.ceil(reach / bucketMs) + 2;
    buckets += most;
    if (buckets > MOST_BUCKETS) {
      result.push([]);
      buckets = most;
    }
    result.at(-1)!.push(group);
  }
  return result;
}

async function weighAtOnce(
  db: Sql,
  version: Version,
  groups: readonly GroupToWeigh[],
  horizon: Horizon,
): Promise<Map<string, Weighed>> {
  const spec = windowSpecOf(version.definition);
  const result = new Map<string, Weighed>();
  let undecided = await knownOf(db, version, groups, spec);
  while (undecided.length > 0) {
    const next: (Known & { buckets: readonly number[] })[] = [];
    for (const group of undecided) {
      try {
        result.set(group.key, decide(group, spec, horizon));
      } catch (error) {
        if (!(error instanceof NeedsTimes)) throw error;
        next.push({ ...group, buckets: error.buckets });
      }
    }
    if (next.length > 0) await readTimes(db, version, next);
    undecided = next;
  }
  return result;
}

function decide({ counts, times, start, incidents }: Known, spec: WindowSpec, horizon: Horizon): Weighed {
  const window = new WindowCounts(spec, counts, times);
  const { episodes, ...judged } = judge(window, spec, start, horizon, lastOpened(incidents));
  return { ...judged, episodes: episodes.map((e) => ({ ...e, observed: window.countAt(e.opened_at) })) };
}

/** When the last of these incidents opened, epoch ms. */
export function lastOpened(incidents: readonly GroupIncident[]): number | null {
  return incidents.reduce<number | null>(
    (last, { opened_at }) => Math.max(last ?? opened_at, opened_at),
    null,
  );
}

async function knownOf(
  db: Sql,
  version: Version,
  groups: readonly GroupToWeigh[],
  spec: WindowSpec,
): Promise<Known[]> {
  const effectiveAt = version.revision === 1 ? null : version.effective_at;
  const started = groups.map((group) => {
    const incidents = group.incidents.map((i) => ({ ...i, carried: i.revision === version.revision }));
    return { ...group, start: startOf({ from: group.from, spec, effectiveAt, incidents }) };
  });
  const counts = await bucketCounts(
    db,
    version,
    started.map(({ key, start }) => ({
      group_key: key,
      from: bucketOf(start.at - spec.windowMs, spec.bucketMs),
    })),
  );
  return started.map((group) => ({ ...group, counts: counts.get(group.key)!, times: new Map() }));
}
