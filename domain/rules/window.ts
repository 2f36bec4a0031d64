import type { WindowSpec } from './rule.ts';
import { type Direction, firstAtLeast, type Series } from './series.ts';

/**
 * Thrown if exact times are needed that were not loaded. The caller reads them for these buckets and calls
 * again. It is an exception because the need may arise deep inside a walk, which is cheap to repeat.
 */
export class NeedsTimes extends Error {
  override name = 'NeedsTimes';
  /** Bucket starts, in milliseconds since the epoch. */
  readonly buckets: number[];
  constructor(buckets: number[]) {
    super(`exact times needed for ${buckets.length} buckets`);
    this.buckets = buckets;
  }
}

/** A bucket at the edge of a window, and how many of its known times are in the window. */
export interface CutEdge {
  bucket: number;
  known: number;
}

/**
 * The width of a bucket in which events are counted: a sixtieth of the window, but at least a second.
 * Milliseconds.
 */
export function bucketMsOf(windowMs: number): number {
  return Math.max(1000, Math.ceil(windowMs / 60));
}

/** The start of the bucket that contains an instant. All times are milliseconds since 1970. */
export function bucketOf(at: number, bucketMs: number): number {
  return Math.floor(at / bucketMs) * bucketMs;
}

/**
 * Computes how many events lie in the sliding window [t − W, t] (both ends included) at any t, from counts by
 * bucket. The buckets give a lower and an upper bound. Only if these do not decide, exact times of the partly
 * covered buckets at the edges are needed.
 */
export class WindowCounts implements Series<number> {
  readonly #spec: WindowSpec;
  readonly #starts: number[];
  /** #sums[i] is the number of events in buckets before #starts[i]. */
  readonly #sums: number[];
  readonly #counts: ReadonlyMap<number, number>;
  readonly #times: ReadonlyMap<number, readonly number[]>;

  /**
   * @param counts events by bucket start
   * @param times sorted exact times, for buckets where they are known: either all of a bucket, or its first
   * and its last ones, each at least as many as the threshold; more could not change a decision
   */
  constructor(
    spec: WindowSpec,
    counts: ReadonlyMap<number, number>,
    times: ReadonlyMap<number, readonly number[]>,
  ) {
    this.#spec = spec;
    this.#times = times;
    const all = new Map(counts);
    for (const [start, exact] of times) if (!all.has(start)) all.set(start, exact.length);
    this.#counts = all;
    this.#starts = [...all.keys()].filter((start) => all.get(start)! > 0).sort((a, b) => a - b);
    this.#sums = [0];
    for (const start of this.#starts) this.#sums.push(this.#sums.at(-1)! + all.get(start)!);
  }

  /**
   * Bounds on the count in the rest of the bucket that contains `at`. Where the window has no event, the
   * range extends to the next event.
   */
  bounds(at: number): { to: number; least: number; most: number } {
    const { windowMs, bucketMs } = this.#spec;
    const bucket = bucketOf(at, bucketMs);
    const to = bucket + bucketMs - 1;
    let first = this.#indexFrom(bucketOf(at - windowMs, bucketMs));
    let end = this.#indexFrom(bucket + bucketMs);
    const most = this.#sums[end]! - this.#sums[first]!;
    if (most === 0) {
      const next = this.#starts[end];
      return { to: next === undefined ? Number.POSITIVE_INFINITY : next - 1, least: 0, most: 0 };
    }
    // Without the buckets at the edges: those that the window may have left, and those that it may not reach.
    const [whole, cut] = [to - windowMs, bucketOf(at + 1, bucketMs)];
    while (first < end && this.#starts[first]! < whole) first++;
    while (end > first && this.#starts[end - 1]! >= cut) end--;
    return { to, least: this.#sums[end]! - this.#sums[first]!, most };
  }

  /**
   * The instants in (from, to] at which an event enters the window (`up`) or has left it (`down`). It also
   * ensures that the exact times which `valueAt` needs in this range are loaded. @throws NeedsTimes
   */
  changes(from: number, to: number, direction: Direction): number[] {
    const { windowMs } = this.#spec;
    const entering = this.#exact(from, to);
    const leaving = this.#exact(from - windowMs, to - windowMs);
    const instants: number[] = [];
    if (direction !== 'down') {
      for (const time of entering) if (time > from && time <= to) instants.push(time);
    }
    if (direction !== 'up') {
      for (const time of leaving) {
        const left = time + windowMs + 1;
        if (left > from && left <= to) instants.push(left);
      }
    }
    return direction === 'either' ? instants.sort((a, b) => a - b) : instants;
  }

  /** Like `countAt`, for loaded times. If only a part of them is known, it is exact up to the threshold. */
  valueAt(t: number): number {
    const start = t - this.#spec.windowMs;
    let count = this.#inside(start, t);
    for (const edge of this.#edges(t)) count += within(this.#times.get(edge) ?? [], start, t);
    return count;
  }

  /**
   * The number of events in the window at t. It may be too low if `cutEdges(t)` is not empty. @throws
   * NeedsTimes
   */
  countAt(t: number): number {
    this.#exact(t - this.#spec.windowMs, t - this.#spec.windowMs);
    this.#exact(t, t);
    return this.valueAt(t);
  }

  /** The buckets at the edges of the window at t whose times are only partly known. */
  cutEdges(t: number): CutEdge[] {
    return this.#edges(t).flatMap((bucket) => {
      const times = this.#times.get(bucket);
      if (!times || times.length >= this.#counts.get(bucket)!) return [];
      return [{ bucket, known: within(times, t - this.#spec.windowMs, t) }];
    });
  }

  /** The buckets that lie only partly in the window at t. */
  #edges(t: number): number[] {
    const { windowMs, bucketMs } = this.#spec;
    const start = t - windowMs;
    const first = bucketOf(start, bucketMs);
    const last = bucketOf(t, bucketMs);
    const ends = first === last ? [first] : [first, last];
    return ends.filter((edge) => edge < start || edge + bucketMs - 1 > t);
  }

  /**
   * Exact times of the events in every bucket that overlaps [a, b]. @throws NeedsTimes if some are not loaded
   */
  #exact(a: number, b: number): number[] {
    const missing: number[] = [];
    const times: number[] = [];
    const { bucketMs } = this.#spec;
    const end = this.#indexFrom(bucketOf(b, bucketMs) + bucketMs);
    for (let i = this.#indexFrom(bucketOf(a, bucketMs)); i < end; i++) {
      const known = this.#times.get(this.#starts[i]!);
      if (known) for (const time of known) times.push(time);
      else missing.push(this.#starts[i]!);
    }
    if (missing.length > 0) throw new NeedsTimes(missing);
    return times;
  }

  /** Counts the events in buckets that lie wholly in [a, b]: a lower bound for [a, b]. */
  #inside(a: number, b: number): number {
    const { bucketMs } = this.#spec;
    const first = this.#indexFrom(Math.ceil(a / bucketMs) * bucketMs);
    const end = this.#indexFrom(bucketOf(b + 1, bucketMs));
    return end > first ? this.#sums[end]! - this.#sums[first]! : 0;
  }

  /** Index of the first non-empty bucket that starts at or after `start`. */
  #indexFrom(start: number): number {
    return firstAtLeast(this.#starts, start);
  }
}

/** Counts the sorted times in [a, b]. */
function within(times: readonly number[], a: number, b: number): number {
  return firstAtLeast(times, b + 1) - firstAtLeast(times, a);
}
