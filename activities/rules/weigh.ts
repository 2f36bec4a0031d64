import type { Sql } from '../../db/orm.ts';
import type { GroupIncident } from '../../db/queries/incidents/on-record.ts';
import { bucketCounts, type Version } from '../../db/queries/rules/judging.ts';
import type { Episode, Horizon, Judged } from '../../domain/rules/episodes.ts';
import { kindOf } from '../../domain/rules/kinds/index.ts';
import { type WindowSpec, windowSpecOf } from '../../domain/rules/rule.ts';
import { type Change, PAGE_BUCKETS, Walk } from '../../domain/rules/walk.ts';
import { type CutEdge, NeedsTimes, WindowCounts } from '../../domain/rules/window.ts';
import { countInBucket, readTimes } from './exact-times.ts';

/** A group to be judged: where its events changed (epoch ms), and the incidents that this may concern. */
export interface GroupToWeigh {
  key: string;
  changes: readonly Change[];
  incidents: readonly GroupIncident[];
}

/** `observed`: how many events were in the window when the episode opened. */
export type Weighed = Judged<Episode & { observed: number }>;

interface Walking {
  key: string;
  walk: Walk;
}

/**
 * What is known about a group's events: counts by bucket, and exact times of the buckets that had to be read.
 */
interface Known extends Walking {
  counts: Map<number, number>;
  times: Map<number, number[]>;
}

/** How many buckets are held in memory at once. */
const MOST_BUCKETS = 200_000;

/**
 * Finds out when the rule fired for each group. It reads counts by bucket, one page for many groups at a
 * time. It reads exact times only of buckets whose counts do not decide.
 */
export async function weigh(
  db: Sql,
  version: Version,
  groups: readonly GroupToWeigh[],
  horizon: Horizon,
): Promise<Map<string, Weighed>> {
  const { condition, ...settings } = version.definition;
  const spec = windowSpecOf(version.definition);
  const tests = kindOf(condition).tests(condition, settings);
  const effectiveAt = version.revision === 1 ? null : version.effective_at;
  const walking = groups.map(({ key, changes, incidents }) => {
    const known = incidents.map((i) => ({ ...i, carried: i.revision === version.revision }));
    return { key, walk: new Walk({ spec, tests, changes, effectiveAt, incidents: known, horizon }) };
  });
  const result = new Map<string, Weighed>();
  for (const portion of portions(walking, spec, horizon)) {
    let left = portion;
    while (left.length > 0) {
      await takePages(db, version, left, spec);
      const going: Walking[] = [];
      for (const group of left) {
        const { judged } = group.walk;
        if (judged) result.set(group.key, judged);
        else going.push(group);
      }
      left = going;
    }
  }
  return result;
}

/** Splits the groups so that the pages of each part have few enough buckets to be held at once. */
export function portions<G extends Pick<Walking, 'walk'>>(
  groups: readonly G[],
  { windowMs, forMs, keepFiringMs, bucketMs }: WindowSpec,
  { openUpTo }: Horizon,
): G[][] {
  const result: G[][] = [];
  const around = Math.ceil((windowMs + Math.max(forMs, keepFiringMs)) / bucketMs) + 2;
  let buckets = MOST_BUCKETS;
  for (const group of groups) {
    // Leaves room for the next pages, which may be larger. After a last page there is none.
    const { from, to } = group.walk.page;
    const most = Number.isFinite(to)
      ? PAGE_BUCKETS + around
      : Math.max(0, openUpTo - from) / bucketMs + around;
    buckets += most;
    if (buckets > MOST_BUCKETS) {
      result.push([]);
      buckets = most;
    }
    result.at(-1)!.push(group);
  }
  return result;
}

/** Reads the next page of each group and walks over it. */
async function takePages(
  db: Sql,
  version: Version,
  groups: readonly Walking[],
  spec: WindowSpec,
): Promise<void> {
  const pages = groups.map(({ key, walk }) => ({ group_key: key, ...walk.page }));
  const counts = await bucketCounts(db, version, pages);
  let undecided = groups.map(
    (group): Known => ({ ...group, counts: counts.get(group.key)!, times: new Map() }),
  );
  while (undecided.length > 0) {
    const next: (Known & { buckets: readonly number[] })[] = [];
    for (const group of undecided) {
      try {
        const cut = group.walk.take(new WindowCounts(spec, group.counts, group.times));
        for (const { at, edges } of cut)
          group.walk.add(at, await uncounted(db, version, group.key, at, edges));
      } catch (error) {
        if (!(error instanceof NeedsTimes)) throw error;
        next.push({ ...group, buckets: error.buckets });
      }
    }
    if (next.length > 0) await readTimes(db, version, next);
    undecided = next;
  }
}

/** Counts the events in the window at `at` whose times were not read. */
async function uncounted(
  db: Sql,
  version: Version,
  key: string,
  at: number,
  edges: readonly CutEdge[],
): Promise<number> {
  const window = { from: at - windowSpecOf(version.definition).windowMs, to: at };
  let n = 0;
  for (const { bucket, known } of edges) n += (await countInBucket(db, version, key, bucket, window)) - known;
  return n;
}
