import { below } from '../series.ts';
import { instantOf, type MemoryCondition, overlapping } from './kind.ts';

/**
 * The condition holds at t while a group that had events before has none in [t − window, t]. A deaf span
 * counts like an event: nobody knows whether the group was silent, so its window begins again after the span.
 */
export function absenceInMemory({ window_seconds }: { window_seconds: number }): MemoryCondition<number> {
  const windowMs = window_seconds * 1000;
  const silent = below(1);
  return {
    moreEvents: 'up',
    tests: { opens: silent, keeps: silent },
    seriesOf: (events, deaf) => overlapping([...events.map(instantOf), ...deaf], windowMs),
  };
}
