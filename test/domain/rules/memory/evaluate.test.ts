import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Event } from '../../../../domain/events/event.ts';
import type { Episode } from '../../../../domain/rules/episodes.ts';
import { finalityOf, horizonOf } from '../../../../domain/rules/finality.ts';
import { OVERFLOW_GROUP, SOLE_GROUP } from '../../../../domain/rules/group.ts';
import { absenceInMemory } from '../../../../domain/rules/memory/absence.ts';
import { avgInMemory } from '../../../../domain/rules/memory/avg.ts';
import { countInMemory } from '../../../../domain/rules/memory/count.ts';
import { evaluateInMemory } from '../../../../domain/rules/memory/evaluate.ts';
import type { Interval, MemoryCondition } from '../../../../domain/rules/memory/kind.ts';
import { RULE_DEFAULTS } from '../../../../domain/rules/rule.ts';
import { modelOf } from '../../../support/model.ts';

const BASE = 1_700_000_000_000;

const eventAt = (occurred_at: number, ms: unknown = 1, host = 'a'): Event => ({
  event_id: `${occurred_at}-${host}`,
  source_id: 'web',
  occurred_at,
  severity: 'info',
  event_type: 'request',
  payload: { ms, host } as Event['payload'],
});

/** Offsets crowd around multiples of a second, where windows begin and end. */
const offset = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.constantFrom(-1, 0, 0, 1, 250, 500))
  .map(([s, ms]) => BASE + s * 1000 + ms + 2);
/** Binary fractions do not have these sums: 0.1 + 0.2 is not 0.3. */
const value = fc.constantFrom<unknown>(0.1, 0.2, 0.3, -0.1, 1e15, 5e-7, 3, 'three', null);
const events = fc
  .array(fc.tuple(offset, value), { maxLength: 25 })
  .map((all) => all.map((e) => eventAt(...e)));
const deaf = fc.array(
  fc.tuple(offset, fc.constantFrom(0, 500, 2000)).map(([from, ms]) => ({ from, to: from + ms })),
  { maxLength: 2 },
);
const timers = fc.record({
  forMs: fc.constantFrom(0, 0, 1000, 3000),
  keepFiringMs: fc.constantFrom(0, 0, 1000, 4000),
});
const times = fc
  .tuple(offset, offset)
  .map(([a, b]) => ({ clock: Math.max(a, b), watermark: Math.min(a, b) }));

/** A condition in memory, and the same in the words of its definition. */
interface Case {
  name: string;
  condition: MemoryCondition<unknown>;
  windowMs: number;
  holds(t: number, events: readonly Event[], deaf: readonly Interval[]): boolean;
}

const within = (events: readonly Event[], t: number, windowMs: number) =>
  events.filter(({ occurred_at }) => occurred_at >= t - windowMs && occurred_at <= t);

/** The mean in units of 10^−7, in which all values are whole. */
const inUnits = (number: number) => BigInt(number.toFixed(7).replace('.', ''));

function avgCase(op: '>' | '>=' | '<' | '<=', threshold: number): Case {
  const windowMs = 3000;
  return {
    name: `a mean ${op} ${threshold}`,
    condition: avgInMemory({
      field: 'payload.ms',
      op,
      threshold,
      window_seconds: 3,
    }) as MemoryCondition<unknown>,
    windowMs,
    holds(t, all) {
      const numbers = within(all, t, windowMs)
        .map(({ payload }) => payload.ms)
        .filter((x) => typeof x === 'number');
      if (numbers.length === 0) return false;
      const sum = numbers.reduce((total, x) => total + inUnits(x), 0n);
      const limit = inUnits(threshold) * BigInt(numbers.length);
      if (op === '>') return sum > limit;
      if (op === '>=') return sum >= limit;
      return op === '<' ? sum < limit : sum <= limit;
    },
  };
}

const CASES: Case[] = [
  {
    name: 'a count of at least 2',
    condition: countInMemory(
      { kind: 'count', threshold_count: 2, window_seconds: 3 },
      RULE_DEFAULTS,
    ) as MemoryCondition<unknown>,
    windowMs: 3000,
    holds: (t, all) => within(all, t, 3000).length >= 2,
  },
  {
    name: 'an absence',
    condition: absenceInMemory({ window_seconds: 3 }) as MemoryCondition<unknown>,
    windowMs: 3000,
    holds: (t, all, spans) =>
      within(all, t, 3000).length === 0 && spans.every(({ from, to }) => from > t || to < t - 3000),
  },
  avgCase('>=', 0.2),
  avgCase('<', 0.2),
  avgCase('>', 0.15),
  avgCase('<=', 0),
];

describe('evaluation in memory', () => {
  for (const { name, condition, windowMs, holds } of CASES) {
    const evaluated = (
      all: readonly Event[],
      spans: readonly Interval[],
      { forMs, keepFiringMs }: { forMs: number; keepFiringMs: number },
      until: { clock: number; watermark: number },
    ): Episode[] => {
      const settings = {
        ...RULE_DEFAULTS,
        for_seconds: forMs / 1000,
        keep_firing_seconds: keepFiringMs / 1000,
      };
      const arrivals = all.map((event) => ({ event, received_at: event.occurred_at }));
      return (
        evaluateInMemory(settings, condition, { arrivals, deaf: spans, ...until }).get(SOLE_GROUP)
          ?.episodes ?? []
      );
    };

    it(`finds the episodes of ${name} that a brute-force model finds`, () => {
      fc.assert(
        fc.property(events, deaf, timers, times, (all, spans, t, until) => {
          if (all.length === 0) return;
          const edges = [...all.map(({ occurred_at: at }) => ({ from: at, to: at })), ...spans];
          const words = {
            ...t,
            instants: edges.flatMap(({ from, to }) => [from, to + 1, from + windowMs + 1, to + windowMs + 1]),
            opens: (at: number) => holds(at, all, spans),
            keeps: (at: number) => holds(at, all, spans),
          };
          const at = Math.min(...all.map(({ occurred_at }) => occurred_at));
          const horizon = horizonOf(condition, until.clock, until.watermark);
          assert.deepEqual(evaluated(all, spans, t, until), modelOf(words, { at, firing: null }, horizon));
        }),
        { numRuns: 400 },
      );
    });

    it(`keeps what it decided about ${name} up to the watermark when later events arrive`, () => {
      fc.assert(
        fc.property(events, events, timers, times, (all, more, t, { watermark }) => {
          const later = more.filter(({ occurred_at }) => occurred_at > watermark);
          const heard = all.filter(({ occurred_at }) => occurred_at <= watermark);
          if (heard.length === 0) return;
          const clock = watermark + 60_000;
          const first = evaluated(heard, [], t, { clock, watermark });
          const after = evaluated([...heard, ...later], [], t, { clock, watermark: clock });
          for (const [i, episode] of first.entries()) {
            assert.deepEqual([after[i]?.since, after[i]?.opened_at], [episode.since, episode.opened_at]);
            // Ends that more events can only bring forward are decided by the clock, and may be corrected.
            const certain = finalityOf(condition) !== 'falser' || (episode.ended_at ?? 0) <= watermark;
            if (episode.ended_at !== null && certain) assert.equal(after[i]?.ended_at, episode.ended_at);
          }
        }),
        { numRuns: 400 },
      );
    });
  }

  it('takes an event only if it matches and arrives in time', () => {
    const settings = {
      ...RULE_DEFAULTS,
      allowed_lateness_seconds: 10,
      match: [{ field: 'payload.host', op: '=' as const, value: 'a' }],
    };
    const arrivals = [
      { event: eventAt(BASE), received_at: BASE + 10_000 },
      { event: eventAt(BASE + 1), received_at: BASE + 10_002 },
      { event: eventAt(BASE + 2, 1, 'b'), received_at: BASE + 2 },
    ];
    const condition = countInMemory({ kind: 'count', threshold_count: 1, window_seconds: 1 }, settings);
    const judged = evaluateInMemory(settings, condition, {
      arrivals,
      clock: BASE + 60_000,
      watermark: BASE + 60_000,
    });
    assert.deepEqual(judged.get(SOLE_GROUP)?.episodes, [
      { since: BASE, opened_at: BASE, ended_at: BASE + 1001 },
    ]);
  });

  it('counts the events of groups beyond the limit in the overflow group', () => {
    const settings = { ...RULE_DEFAULTS, group_by: ['payload.host'], max_groups: 2 };
    const arrivals = ['a', 'b', 'c', 'a', 'd'].map((host, i) => ({
      event: eventAt(BASE + i, 1, host),
      received_at: BASE + i,
    }));
    const condition = countInMemory({ kind: 'count', threshold_count: 2, window_seconds: 1 }, settings);
    const judged = evaluateInMemory(settings, condition, {
      arrivals,
      clock: BASE + 60_000,
      watermark: BASE + 60_000,
    });
    assert.deepEqual([...judged.keys()], ['["a"]', '["b"]', OVERFLOW_GROUP]);
    assert.deepEqual(
      [...judged.values()].map(({ episodes }) => episodes.length),
      [1, 0, 1],
    );
  });
});
