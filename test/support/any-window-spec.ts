import fc from 'fast-check';
import type { WindowSpec } from '../../domain/rules/rule.ts';

/**
 * Small windows, thresholds and timers in buckets of a second, so that a few events make a rule fire and
 * stop.
 */
export const anyWindowSpec = fc
  .record({
    windowMs: fc.constantFrom(1000, 3000, 7000),
    threshold: fc.integer({ min: 1, max: 4 }),
    recovery: fc.integer({ min: 1, max: 4 }),
    forMs: fc.constantFrom(0, 0, 1000, 4000),
    keepFiringMs: fc.constantFrom(0, 0, 1000, 4000),
  })
  .map((s): WindowSpec => ({ ...s, recovery: Math.min(s.recovery, s.threshold), bucketMs: 1000 }));
