import type { Event } from '../../events/event.ts';
import type { Finality } from '../finality.ts';
import type { Series, Tests } from '../series.ts';

/** A stretch of event time in which Tocsin could not hear, both ends included. Epoch milliseconds. */
export interface DeafStretch {
  from: number;
  to: number;
}

/**
 * A condition that is evaluated in memory. It has the same parts as a condition in production: a series,
 * tests and a finality. Only the reading differs: all events of a group are at hand.
 */
export interface MemoryCondition<V> {
  readonly finality: Finality;
  readonly tests: Tests<V>;
  /** The series of one group. `events`: all that are known, in any order. */
  seriesOf(events: readonly Event[], deaf: readonly DeafStretch[]): Series<V>;
}
