/**
 * Exact times of counted events, as they are kept beside the counts: milliseconds from the start of the bucket, four bytes
 * each, the highest first, in no order. Bytes cost an append a third of what an array of integers does.
 */

/** Bytes that one time takes. */
export const TIME_BYTES = 4;

/** Times that wait beside a count. When there are as many, the next append moves them to a row of `window_times`. */
export const MOST_BESIDE = 64;

/** Times in a row of `window_times` at the most: it stays below the 2 kB from which PostgreSQL stores values elsewhere. */
const MOST_IN_ROW = 448;

/**
 * Up to this width of a bucket (a window of ten minutes) its events are read instead: there are few in ten seconds, and an
 * append has nothing more to write.
 */
const SHORT_BUCKET_MS = 10_000;

/** The longest bucket whose times fit in four bytes, in milliseconds: a window of four years. */
const LONGEST_BUCKET_MS = 2 ** 31;

/** Whether exact times are kept for a rule with buckets of this width. */
export const keepsTimes = (bucketMs: number) => bucketMs > SHORT_BUCKET_MS && bucketMs <= LONGEST_BUCKET_MS;

/** A row of `window_times`: its first and last time, and all of them. */
export interface TimesRow {
  f: number;
  l: number;
  t: string;
}

/** What is written of the times that one append, or one portion of a backfill, has for a count. */
export interface TimesToKeep {
  /** Kept beside the count, as PostgreSQL reads bytes. */
  beside: string;
  /** Kept in rows of their own. */
  rows: TimesRow[];
  /** How many those rows have. */
  moved: number;
}

/** @param times of one bucket, epoch ms, in any order */
export function timesToKeep(times: readonly number[], bucket: number): TimesToKeep {
  const rows: TimesRow[] = [];
  let moved = 0;
  while (times.length - moved > MOST_BESIDE) {
    const end = Math.min(moved + MOST_IN_ROW, times.length);
    let first = times[moved]!;
    let last = first;
    for (let i = moved; i < end; i++) {
      const time = times[i]!;
      if (time < first) first = time;
      if (time > last) last = time;
    }
    rows.push({ f: first - bucket, l: last - bucket, t: bytesOf(times, moved, end, bucket) });
    moved = end;
  }
  return { beside: bytesOf(times, moved, times.length, bucket), rows, moved };
}

function bytesOf(times: readonly number[], from: number, to: number, bucket: number): string {
  const bytes = Buffer.allocUnsafe((to - from) * TIME_BYTES);
  for (let i = from, at = 0; i < to; i++, at += TIME_BYTES) bytes.writeUInt32BE(times[i]! - bucket, at);
  return `\\x${bytes.toString('hex')}`;
}

/** Adds kept times to a list, as epoch ms. */
export function addKept(bytes: Buffer, bucket: number, into: number[]): void {
  for (let at = 0; at < bytes.length; at += TIME_BYTES) into.push(bucket + bytes.readUInt32BE(at));
}

/** Times of one bucket that were read from its rows: from the first on, and from the last on. In any order. */
export interface Ends {
  firsts: readonly number[];
  /** Rows that were not read begin here or later. */
  firstsTo: number;
  lasts: readonly number[];
  /** Rows that were not read end here or earlier. */
  lastsFrom: number;
}

/**
 * Times of the bucket, none twice, among which are its `n` first and its `n` last: a window that ends or begins in the bucket
 * has `n` of these if it has `n` events of the bucket, and as many as it has if fewer. Null when more rows must be read to be sure.
 */
export function edgeTimes({ firsts, firstsTo, lasts, lastsFrom }: Ends, n: number): number[] | null {
  const before = firsts.filter((time) => time <= firstsTo);
  const after = lasts.filter((time) => time >= lastsFrom);
  if (before.length < n || after.length < n) return null;
  if (firstsTo < lastsFrom) return [...before, ...after];
  // Both ends meet. Everything but what happened at `firstsTo` is known; of that, some may be in rows that only one end has.
  const same = (times: readonly number[]) => times.filter((time) => time === firstsTo).length;
  const at = Math.max(same(before), same(lasts));
  return [
    ...before.filter((time) => time < firstsTo),
    ...Array<number>(at).fill(firstsTo),
    ...lasts.filter((time) => time > firstsTo),
  ];
}
