import fc from 'fast-check';
import type { RuleDefinition } from '../../domain/rules/rule.ts';

export type Settings = Pick<RuleDefinition, 'for_seconds' | 'keep_firing_seconds'> & {
  window: number;
  threshold: number;
  recovery: number;
  lateness: number;
  grouped: boolean;
};

/** What an edit may change without counting events again. */
export type Tuning = Pick<Settings, 'threshold' | 'recovery' | 'for_seconds' | 'keep_firing_seconds'>;

export type Step =
  | {
      do: 'append';
      events: { group: number; ago: number; again: boolean }[];
      woken: boolean;
      judged: boolean;
    }
  | { do: 'pass'; ms: number; lag: number; judged: boolean }
  | { do: 'edit'; settings: Settings; enabled: boolean; judged: boolean }
  /** An edit that does not change what is counted. */
  | { do: 'tune'; tuning: Tuning; judged: boolean }
  | { do: 'crash'; nth: number }
  | { do: 'restart' };

const tuning = {
  threshold: fc.integer({ min: 1, max: 4 }),
  recovery: fc.integer({ min: 1, max: 4 }),
  for_seconds: fc.constantFrom(0, 0, 0, 2, 5),
  keep_firing_seconds: fc.constantFrom(0, 0, 0, 2, 5),
};

export const settings: fc.Arbitrary<Settings> = fc.record({
  // Windows above 600 s have exact times beside their counts.
  window: fc.constantFrom(1, 3, 10, 61, 601),
  ...tuning,
  lateness: fc.constantFrom(20, 3600),
  grouped: fc.constantFrom(true, true, true, false),
});

/** Most ages are zero or at the edges of windows; some events are late by minutes. */
const ago = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 0, 1, 499, 500, 1000) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 12 }).map((s) => s * 1000) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 200 }).map((s) => s * 1000 + 1) },
  { weight: 1, arbitrary: fc.integer({ min: 598, max: 602 }).map((s) => s * 1000) },
);

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      events: fc.array(fc.record({ group: fc.nat(1), ago, again: fc.boolean() }), {
        minLength: 1,
        maxLength: 5,
      }),
      woken: fc.boolean(),
      judged: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 500, 1000, 1001, 3000, 10_000, 10_001, 61_001, 600_000, 601_001),
      lag: fc.constantFrom(0, 0, 1, 2000, 15_000),
      judged: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('edit' as const),
      settings,
      enabled: fc.constantFrom(true, true, true, false),
      judged: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('tune' as const),
      tuning: fc.record(tuning),
      judged: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), nth: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);
