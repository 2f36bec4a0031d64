import { type CountCondition, count } from '../kinds/count.ts';
import type { RuleSettings } from '../rule.ts';
import { instantOf, type MemoryCondition, overlapping } from './kind.ts';

/** `count`, as in production. */
export function countInMemory(condition: CountCondition, settings: RuleSettings): MemoryCondition<number> {
  const windowMs = count.windowMs(condition);
  return {
    moreEvents: count.moreEvents,
    tests: count.tests(condition, settings),
    seriesOf: (events) => overlapping(events.map(instantOf), windowMs),
  };
}
