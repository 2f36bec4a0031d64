/**
 * The value of a measure for one group over event time, as far as it is known from the events so far. Times
 * are epoch milliseconds.
 */
export interface Series<V> {
  /**
   * Bounds on the value in the range [`at`, `to`]. `to` is infinite if the value does not change any more.
   * The implementation chooses how long the range is and how close the bounds are.
   */
  bounds(at: number): { to: number; least: V; most: V };
  /**
   * The instants in (`from`, `to`] at which the value may move in this direction, ascending. @throws
   * NeedsTimes if exact times must be read first
   */
  changes(from: number, to: number, direction: Direction): number[];
  /** The exact value at an instant in a range for which `changes` was called before. */
  valueAt(t: number): V;
}

export type Direction = 'up' | 'down' | 'either';

/** What bounds on the value say about a test. */
export type Verdict = 'yes' | 'no' | 'open';

/** A comparison of a value with a threshold. */
export interface Test<V> {
  /** The direction in which the value moves when the test becomes true. */
  readonly truerWhen: Direction;
  /**
   * The answer that is right for every value between these bounds. For an exact value, `least` and `most` are
   * equal.
   */
  verdict(least: V, most: V): Verdict;
}

/**
 * The tests of a rule. `keeps` decides whether a firing rule keeps firing, and is never stricter than
 * `opens`.
 */
export interface Tests<V> {
  opens: Test<V>;
  keeps: Test<V>;
}

/** The times at which a test of a series holds. */
export interface Signal {
  /** Finds the first instant ≥ `from` at which the test holds; null if there is none. @throws NeedsTimes */
  nextTrue(from: number): number | null;
  /**
   * Finds the first instant ≥ `from` at which the test does not hold; null if there is none. @throws
   * NeedsTimes
   */
  nextFalse(from: number): number | null;
}

const OPPOSITE: Record<Direction, Direction> = { up: 'down', down: 'up', either: 'either' };

/** Evaluates a test along a series. It asks for exact values only where bounds do not decide. */
export function signalOf<V>(series: Series<V>, test: Test<V>): Signal {
  const exactly = (t: number): Verdict => {
    const value = series.valueAt(t);
    return test.verdict(value, value);
  };
  const next = (from: number, wanted: Verdict, direction: Direction): number | null => {
    for (let at = from; ; ) {
      const { to, least, most } = series.bounds(at);
      const verdict = test.verdict(least, most);
      if (verdict === wanted) return at;
      if (verdict === 'open') {
        // Asked for first, because it loads the times that exact values need.
        const instants = series.changes(at, to, direction);
        if (exactly(at) === wanted) return at;
        for (const t of instants) if (exactly(t) === wanted) return t;
      }
      if (to === Number.POSITIVE_INFINITY) return null;
      at = to + 1;
    }
  };
  return {
    nextTrue: (from) => next(from, 'yes', test.truerWhen),
    nextFalse: (from) => next(from, 'no', OPPOSITE[test.truerWhen]),
  };
}

export const atLeast = (threshold: number): Test<number> => ({
  truerWhen: 'up',
  verdict: (least, most) => (least >= threshold ? 'yes' : most < threshold ? 'no' : 'open'),
});

export const below = (threshold: number): Test<number> => ({
  truerWhen: 'down',
  verdict: (least, most) => (most < threshold ? 'yes' : least >= threshold ? 'no' : 'open'),
});

/**
 * A series whose value is known exactly and changes only at these instants, for evaluation in memory. @param
 * instants in any order
 */
export function exactSeries<V>(instants: Iterable<number>, valueAt: (t: number) => V): Series<V> {
  const sorted = [...new Set(instants)].sort((a, b) => a - b);
  return {
    bounds(at) {
      const next = sorted[firstAtLeast(sorted, at + 1)];
      const value = valueAt(at);
      return { to: next === undefined ? Number.POSITIVE_INFINITY : next - 1, least: value, most: value };
    },
    changes: (from, to) => sorted.slice(firstAtLeast(sorted, from + 1), firstAtLeast(sorted, to + 1)),
    valueAt,
  };
}

/** Index of the first of the sorted numbers that is at least `least`. */
export function firstAtLeast(sorted: readonly number[], least: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
