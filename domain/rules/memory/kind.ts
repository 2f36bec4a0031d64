import type { Event } from '../../events/event.ts';
import type { Direction, Series, Tests } from '../series.ts';

/** A stretch of event time in which Tocsin could not hear, both ends included. Epoch milliseconds. */
export interface DeafStretch {
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
  seriesOf(events: readonly Event[], deaf: readonly DeafStretch[]): Series<V>;
}
