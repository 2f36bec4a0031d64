import type { Event } from '../../events/event.ts';
import { type Direction, exactSeries, firstAtLeast, type Series, type Tests } from '../series.ts';

/** An interval of event time, both ends included, such as a deaf span. Epoch milliseconds. */
export interface Interval {
  from: number;
  to: number;
}

/**
 * A condition that is evaluated in memory. It has the same parts as a condition in production: a series,
 * tests, and how further events move the value. Only the reading differs: all events of a group are at hand.
 */
export interface MemoryCondition<V> {
  /** How further events move the value. */
  readonly moreEvents: Direction;
  readonly tests: Tests<V>;
  /** The series of one group. `events`: all that are known, in any order. */
  seriesOf(events: readonly Event[], deaf: readonly Interval[]): Series<V>;
}

/** An event as an interval of one instant. */
export const instantOf = ({ occurred_at }: Event): Interval => ({ from: occurred_at, to: occurred_at });

/** How many of the intervals overlap [t − window, t]. */
export function overlapping(intervals: readonly Interval[], windowMs: number): Series<number> {
  const begins = intervals.map(({ from }) => from).sort((a, b) => a - b);
  const ends = intervals.map(({ to }) => to).sort((a, b) => a - b);
  return exactSeries(
    intervals.flatMap(({ from, to }) => [from, to + windowMs + 1]),
    // Those that began up to t, minus those that ended before the window.
    (t) => firstAtLeast(begins, t + 1) - firstAtLeast(ends, t - windowMs),
  );
}
