/**
 * Exact times of counted events are stored beside the counts, in no order. Each takes four bytes, big-endian:
 * milliseconds from the start of the bucket. Bytes cost an append a third of what an array of integers costs.
 */

/** How many bytes one time takes. */
export const TIME_BYTES = 4;

/** When a count has this many times beside it, the next append moves them to a row of `window_times`. */
export const MOST_BESIDE = 64;

/**
 * The most times in a row of `window_times`. The row stays below 2 kB: PostgreSQL moves larger values out of
 * the table.
 */
export const MOST_IN_ROW = 448;

/**
 * Buckets up to this width (a window of ten minutes) have no kept times; if exact times are needed, the
 * events are read. Ten seconds contain few events, and appends have less to write. Milliseconds.
 */
const SHORT_BUCKET_MS = 10_000;

/** The widest bucket whose times fit in four bytes, in milliseconds. It belongs to a window of four years. */
const LONGEST_BUCKET_MS = 2 ** 31;

/** Says whether exact times are kept for a rule with buckets of this width. */
export const keepsTimes = (bucketMs: number) => bucketMs > SHORT_BUCKET_MS && bucketMs <= LONGEST_BUCKET_MS;

/** A row of `window_times`: the first and last time, and all times. */
export interface TimesRow {
  first: number;
  last: number;
  times: string;
}

/** The times that one append, or one portion of a backfill, adds to a count, and where each is written. */
export interface TimesToKeep {
  /** Times written beside the count, as a literal of PostgreSQL's `bytea`. */
  beside: string;
  /** Times written as rows of `window_times`. */
  rows: TimesRow[];
  /** How many times are in `rows`. */
  moved: number;
}

/** Divides the times of one bucket between the count and rows. @param times epoch ms, in any order */
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
    rows.push({
      first: first - bucket,
      last: last - bucket,
      times: bytesOf(times, moved, end, bucket),
    });
    moved = end;
  }
  return { beside: bytesOf(times, moved, times.length, bucket), rows, moved };
}

/** A count to be added: events, their times `beside` it, and the number of times in rows of their own. */
export interface CountToAdd {
  n: number;
  times?: string;
  moved?: number;
}

/**
 * Makes what is written about new events in one bucket: their count and, with `keep`, their times. @param
 * times epoch ms, in any order
 */
export function countToAdd(
  times: readonly number[],
  bucket: number,
  keep: boolean,
): { count: CountToAdd; rows: readonly TimesRow[] } {
  const n = times.length;
  if (!keep) return { count: { n }, rows: [] };
  const { beside, moved, rows } = timesToKeep(times, bucket);
  return { count: { n, times: beside, moved }, rows };
}

function bytesOf(times: readonly number[], from: number, to: number, bucket: number): string {
  const bytes = Buffer.allocUnsafe((to - from) * TIME_BYTES);
  for (let i = from, at = 0; i < to; i++, at += TIME_BYTES) bytes.writeUInt32BE(times[i]! - bucket, at);
  return `\\x${bytes.toString('hex')}`;
}

/** Decodes kept times and appends them to `into`, as epoch ms. */
export function addKept(bytes: Buffer, bucket: number, into: number[]): void {
  for (let at = 0; at < bytes.length; at += TIME_BYTES) into.push(bucket + bytes.readUInt32BE(at));
}

/**
 * Times of one bucket, from its rows by first time and by last time. They are in no order, and some may be in
 * both.
 */
export interface Ends {
  firsts: readonly number[];
  /** Every row that is not in `firsts` begins here or later. */
  firstsTo: number;
  lasts: readonly number[];
  /** Every row that is not in `lasts` ends here or earlier. */
  lastsFrom: number;
}

/**
 * Returns at least the `n` first and the `n` last times of the bucket, each event once. A window that begins
 * or ends in the bucket contains at least `n` of them, or all of its events in the bucket. Null if more rows
 * must be read to be sure.
 */
export function edgeTimes({ firsts, firstsTo, lasts, lastsFrom }: Ends, n: number): number[] | null {
  const before = firsts.filter((time) => time <= firstsTo);
  const after = lasts.filter((time) => time >= lastsFrom);
  if (before.length < n || after.length < n) return null;
  if (firstsTo < lastsFrom) return [...before, ...after];
  // The two parts meet, so all times are known, except how many events are at exactly `firstsTo`: each part
  // may lack some of these.
  const same = (times: readonly number[]) => times.filter((time) => time === firstsTo).length;
  const at = Math.max(same(before), same(lasts));
  return [
    ...before.filter((time) => time < firstsTo),
    ...Array<number>(at).fill(firstsTo),
    ...lasts.filter((time) => time > firstsTo),
  ];
}
