import type { Sql } from '../../db/orm.ts';
import { countedEvents, type Version } from '../../db/queries/judging.ts';
import { type GroupBucket, keptTimes } from '../../db/queries/kept-times.ts';
import { OVERFLOW_GROUP } from '../../domain/group.ts';
import { addKept, keepsTimes } from '../../domain/kept-times.ts';
import { windowSpecOf } from '../../domain/rule.ts';
import { bucketOf } from '../../domain/window.ts';
import { compileRule } from '../../ingest/rule-set.ts';

/** A group that is judged, and the buckets whose exact times it needs. */
export interface Undecided {
  key: string;
  buckets: readonly number[];
  counts: ReadonlyMap<number, number>;
  /** Receives the times. */
  times: Map<number, number[]>;
}

/** Times read by one statement, unless one bucket has more. */
const MOST_TIMES = 250_000;

/**
 * Gives each group the exact times of its buckets: those that were kept when the events were counted. Where these are missing,
 * because an earlier release counted, the events themselves are read.
 */
export async function readTimes(db: Sql, version: Version, groups: readonly Undecided[]): Promise<void> {
  const missing = new Map<Undecided, number[]>();
  const byKey = new Map(groups.map((group) => [group.key, group]));
  for (const some of portions(groups)) {
    for (const { group_key, bucket, times } of await keptTimes(db, version, some)) {
      const group = byKey.get(group_key)!;
      if (times) {
        const exact: number[] = [];
        addKept(times, bucket, exact);
        group.times.set(
          bucket,
          exact.sort((a, b) => a - b),
        );
      } else if (group_key === OVERFLOW_GROUP) spread(group, bucket);
      else {
        const buckets = missing.get(group);
        if (buckets) buckets.push(bucket);
        else missing.set(group, [bucket]);
      }
    }
  }
  if (missing.size > 0) await readEvents(db, version, missing);
}

/**
 * When the newest events of a group in [from, to] happened, newest first and each instant once: about as many as `most`. Null where
 * they are not kept.
 */
export async function newestTimes(
  db: Sql,
  version: Version,
  key: string,
  { from, to, most }: { from: number; to: number; most: number },
): Promise<number[] | null> {
  const { bucketMs } = windowSpecOf(version.definition);
  if (!keepsTimes(bucketMs)) return null;
  const found: number[] = [];
  const first = bucketOf(from, bucketMs);
  // Most groups have enough in their last buckets, and those that have few events are not asked for one by one.
  for (let bucket = bucketOf(to, bucketMs), n = 1; bucket >= first && found.length < most; n *= 2) {
    const wanted: GroupBucket[] = [];
    for (; wanted.length < n && bucket >= first; bucket -= bucketMs) wanted.push({ group_key: key, bucket });
    for (const { bucket: start, times } of await keptTimes(db, version, wanted)) {
      if (!times) return null;
      addKept(times, start, found);
    }
  }
  const within = new Set(found.filter((time) => time >= from && time <= to));
  return [...within].sort((a, b) => b - a).slice(0, most);
}

function portions(groups: readonly Undecided[]): GroupBucket[][] {
  const result: GroupBucket[][] = [];
  let times = MOST_TIMES;
  for (const { key, buckets, counts } of groups) {
    for (const bucket of buckets) {
      const n = counts.get(bucket) ?? 0;
      times += n;
      if (times > MOST_TIMES) {
        result.push([]);
        times = n;
      }
      result.at(-1)!.push({ group_key: key, bucket });
    }
  }
  return result;
}

/** Reads every event of the buckets, and gives each group those of its own. */
async function readEvents(
  db: Sql,
  version: Version,
  missing: ReadonlyMap<Undecided, readonly number[]>,
): Promise<void> {
  const { matches, groupKey } = compileRule(version);
  const { bucketMs } = windowSpecOf(version.definition);
  const found = new Map(
    [...missing].map(([{ key }, buckets]) => [key, new Map(buckets.map((b): [number, number[]] => [b, []]))]),
  );
  const starts = [...new Set([...missing.values()].flat())].sort((a, b) => a - b);
  const ranges = starts.map((from) => ({ from, to: from + bucketMs }));
  for (const event of await countedEvents(db, version, ranges, { groups: [...found.keys()] })) {
    if (!matches(event)) continue;
    found.get(groupKey(event))?.get(bucketOf(event.occurred_at, bucketMs))?.push(event.occurred_at);
  }
  for (const { key, times } of missing.keys()) {
    for (const [bucket, exact] of found.get(key)!)
      times.set(
        bucket,
        exact.sort((a, b) => a - b),
      );
  }
}

/** Without kept times, overflow groups are good to a bucket: all events stand at the start of theirs. */
function spread({ counts, times }: Undecided, bucket: number): void {
  times.set(bucket, Array(counts.get(bucket) ?? 0).fill(bucket));
}
