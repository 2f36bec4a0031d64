import type { Event } from '../../events/event.ts';
import { type CountCondition, count } from '../kinds/count.ts';
import type { RuleSettings } from '../rule.ts';
import { exactSeries, firstAtLeast, type Series } from '../series.ts';
import type { MemoryCondition } from './kind.ts';

/** `count`, as in production. */
export function countInMemory(condition: CountCondition, settings: RuleSettings): MemoryCondition<number> {
  const windowMs = count.windowMs(condition);
  return {
    moreEvents: count.moreEvents,
    tests: count.tests(condition, settings),
    seriesOf: (events) => windowSeries(events, windowMs),
  };
}

/** The number of events in [t − window, t]. */
function windowSeries(events: readonly Event[], windowMs: number): Series<number> {
  const times = events.map(({ occurred_at }) => occurred_at).sort((a, b) => a - b);
  return exactSeries(
    times.flatMap((time) => [time, time + windowMs + 1]),
    (t) => firstAtLeast(times, t + 1) - firstAtLeast(times, t - windowMs),
  );
}
