import type { Sql } from '../../db/orm.ts';
import { countedEvents, type Version } from '../../db/queries/rules/judging.ts';
import { countKept, type GroupBucket, type KeptBytes, keptTimes } from '../../db/queries/rules/kept-times.ts';
import { compileRule } from '../../domain/rules/compile.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import { addKept, edgeTimes, keepsTimes, MOST_IN_ROW } from '../../domain/rules/kept-times.ts';
import { windowSpecOf } from '../../domain/rules/rule.ts';
import { bucketOf } from '../../domain/rules/window.ts';

/** A group that is being judged, and the buckets whose exact times it needs. */
export interface Undecided {
  key: string;
  buckets: readonly number[];
  /** Events by bucket; `readTimes` replaces them by what it read. */
  counts: Map<number, number>;
  /** Times by bucket, filled by `readTimes`. */
  times: Map<number, number[]>;
}

/** The most times that one statement reads, unless one bucket has more. */
const MOST_TIMES = 250_000;

/**
 * Reads the exact times of each group's buckets, as they were stored when the events were counted. If an
 * earlier release counted the events, there are no times; then it reads the events. Of a bucket with many
 * events it reads only times that can matter: as many as the threshold from each end.
 */
export async function readTimes(db: Sql, version: Version, groups: readonly Undecided[]): Promise<void> {
  const { threshold } = windowSpecOf(version.definition);
  const missing = new Map<Undecided, number[]>();
  const byKey = new Map(groups.map((group) => [group.key, group]));
  for (const some of portions(groups, threshold)) {
    for (const { group_key, bucket, n, times } of await readKept(db, version, some, threshold)) {
      const group = byKey.get(group_key)!;
      if (times) {
        group.times.set(
          bucket,
          times.sort((a, b) => a - b),
        );
        group.counts.set(bucket, n);
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
 * What was read of a bucket: the number of its events, and at least as many of its first and last times as
 * were requested. `times` is null if not all were kept.
 */
type Read = GroupBucket & { n: number; times: number[] | null };

/**
 * Reads enough rows for `most` times. If rows overlap so much that the result is uncertain, it reads twice as
 * many, and so on.
 * @param newestTo if given, only the newest times up to then (epoch ms) are needed, and no first ones
 */
async function readKept(
  db: Sql,
  version: Version,
  wanted: readonly GroupBucket[],
  most: number,
  newestTo?: number,
): Promise<Read[]> {
  const result: Read[] = [];
  let open = wanted;
  for (let limit = Math.max(16, Math.ceil(most / MOST_IN_ROW) + 1); open.length > 0; limit *= 2) {
    const again: GroupBucket[] = [];
    for (const kept of await keptTimes(db, version, open, limit, newestTo)) {
      const times = timesOf(kept, limit, most, newestTo);
      if (times === 'more') again.push(kept);
      else result.push({ group_key: kept.group_key, bucket: kept.bucket, n: kept.n, times });
    }
    open = again.map(({ group_key, bucket }) => ({ group_key, bucket }));
  }
  return result;
}

function timesOf(
  kept: KeptBytes,
  limit: number,
  most: number,
  newestTo: number | undefined,
): number[] | 'more' | null {
  if (!kept.complete) return null;
  const decode = (bytes: Buffer) => {
    const times: number[] = [];
    addKept(bytes, kept.bucket, times);
    return times;
  };
  const [beside, firsts] = [decode(kept.beside), decode(kept.firsts)];
  if (kept.rows < limit) return firsts.length === kept.moved ? [...beside, ...firsts] : null;
  const [firstsTo, lastsFrom] = [kept.bucket + kept.firsts_to, kept.bucket + kept.lasts_from];
  const lasts = decode(kept.lasts);
  if (newestTo !== undefined) {
    const newest = lasts.filter((time) => time >= lastsFrom && time <= newestTo);
    if (kept.lasts_rows < limit) return [...beside, ...lasts];
    return newest.length < most ? 'more' : [...beside, ...newest];
  }
  const ends = edgeTimes({ firsts, firstsTo, lasts, lastsFrom }, most);
  return ends ? [...beside, ...ends] : 'more';
}

/**
 * The times of the newest events of a group in [from, to]: at most `most` instants, newest first, without
 * repetitions. Null if times are not kept.
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
  // For most groups the last bucket is enough. For the others each statement reads twice as many buckets, so
  // that sparse groups do not need many statements.
  for (let bucket = bucketOf(to, bucketMs), n = 1; bucket >= first && found.length < most; n *= 2) {
    const wanted: GroupBucket[] = [];
    for (; wanted.length < n && bucket >= first; bucket -= bucketMs) wanted.push({ group_key: key, bucket });
    for (const { times } of await readKept(db, version, wanted, most, to)) {
      if (!times) return null;
      // The first and the last bucket have times outside of the range.
      for (const time of times) if (time >= from && time <= to) found.push(time);
    }
  }
  return [...new Set(found)].sort((a, b) => b - a).slice(0, most);
}

/** How many events of a group's bucket happened in [from, to], epoch ms. Call it only if times are kept. */
export async function countInBucket(
  db: Sql,
  version: Version,
  key: string,
  bucket: number,
  { from, to }: { from: number; to: number },
): Promise<number> {
  const { bucketMs } = windowSpecOf(version.definition);
  const within = { from: Math.max(0, from - bucket), to: Math.min(to - bucket, bucketMs - 1) };
  return countKept(db, version, { group_key: key, bucket }, within);
}

function portions(groups: readonly Undecided[], threshold: number): GroupBucket[][] {
  const result: GroupBucket[][] = [];
  let times = Number.POSITIVE_INFINITY;
  for (const { key, buckets, counts } of groups) {
    for (const bucket of buckets) {
      const n = Math.min(counts.get(bucket) ?? 0, 2 * threshold);
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

/** Reads all events of the buckets, and gives each group the times of its own. */
async function readEvents(
  db: Sql,
  version: Version,
  missing: ReadonlyMap<Undecided, readonly number[]>,
): Promise<void> {
  const { matches, groupKey } = compileRule(version.definition);
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
  for (const { key, times, counts } of missing.keys()) {
    for (const [bucket, exact] of found.get(key)!) {
      times.set(
        bucket,
        exact.sort((a, b) => a - b),
      );
      counts.set(bucket, exact.length);
    }
  }
}

/**
 * Without kept times, an overflow group is exact to one bucket: each event counts as if it happened at the
 * start of its bucket.
 */
function spread({ counts, times }: Undecided, bucket: number): void {
  times.set(bucket, Array(counts.get(bucket) ?? 0).fill(bucket));
}
