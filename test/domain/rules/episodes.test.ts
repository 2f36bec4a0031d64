import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Episode, judge } from '../../../domain/rules/episodes.ts';
import type { WindowSpec } from '../../../domain/rules/rule.ts';
import { bucketOf, NeedsTimes, WindowCounts } from '../../../domain/rules/window.ts';
import { countConditions } from '../../support/count-conditions.ts';
import { countAt, modelEpisodes } from '../../support/model.ts';

const BASE = 1_700_000_000_000;

function countsOf(times: readonly number[], spec: WindowSpec, exact: Iterable<number> = []): WindowCounts {
  const counts = new Map<number, number>();
  const known = new Map<number, number[]>();
  for (const time of times) {
    const bucket = bucketOf(time, spec.bucketMs);
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
  for (const bucket of exact) {
    known.set(
      bucket,
      times.filter((time) => bucketOf(time, spec.bucketMs) === bucket).sort((a, b) => a - b),
    );
  }
  return new WindowCounts(spec, counts, known);
}

/** Asks a question with counts only, and loads exact times only when they are needed. */
function refined<T>(times: readonly number[], spec: WindowSpec, ask: (counts: WindowCounts) => T): T {
  const exact = new Set<number>();
  while (true) {
    try {
      return ask(countsOf(times, spec, exact));
    } catch (error) {
      if (!(error instanceof NeedsTimes)) throw error;
      const before = exact.size;
      for (const bucket of error.buckets) exact.add(bucket);
      assert.ok(exact.size > before, 'asked for times it was given');
    }
  }
}

const spec = fc
  .record({
    windowMs: fc.constantFrom(1000, 2000, 5000, 61_000),
    threshold: fc.integer({ min: 1, max: 5 }),
    recovery: fc.integer({ min: 1, max: 5 }),
    forMs: fc.constantFrom(0, 0, 1000, 3000),
    keepFiringMs: fc.constantFrom(0, 0, 1000, 4000),
  })
  .map(
    (s): WindowSpec => ({
      ...s,
      recovery: Math.min(s.recovery, s.threshold),
      bucketMs: Math.max(1000, Math.ceil(s.windowMs / 60)),
    }),
  );

/** Most offsets are near multiples of a second, where windows begin and end. */
const offset = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.constantFrom(-1, 0, 0, 1, 250, 500))
  .map(([s, ms]) => s * 1000 + ms + 2);
const times = fc.array(offset, { maxLength: 40 }).map((offsets) => offsets.map((o) => BASE + o));

describe('windows', () => {
  it('count exactly at every instant, from buckets and as few exact times as possible', () => {
    fc.assert(
      fc.property(times, spec, offset, (all, s, o) => {
        assert.equal(
          refined(all, s, (counts) => counts.countAt(BASE + o)),
          countAt(all, s, BASE + o),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('fire exactly when a brute-force walk over every instant says so', () => {
    fc.assert(
      fc.property(times, spec, offset, offset, (all, s, a, b) => {
        const horizon = { openUpTo: BASE + Math.max(a, b), endUpTo: BASE + Math.min(a, b) };
        const start = { at: BASE - 10_000, firing: null };
        const { episodes } = refined(all, s, (counts) =>
          judge(countConditions(counts, s), s, start, horizon),
        );
        assert.deepEqual(episodes, modelEpisodes(all, s, start, horizon));
      }),
      { numRuns: 3000 },
    );
  });

  it('are deferred if they seem to end before a recorded incident begins', () => {
    fc.assert(
      fc.property(times, spec, offset, offset, fc.nat(5), (all, s, a, b, nth) => {
        const horizon = { openUpTo: BASE + Math.max(a, b), endUpTo: BASE + Math.min(a, b) };
        const start = { at: BASE - 10_000, firing: null };
        const whole = modelEpisodes(all, s, start, { ...horizon, endUpTo: Number.POSITIVE_INFINITY });
        const lastOpened = whole[nth % Math.max(1, whole.length)]?.opened_at ?? null;
        const { episodes, deferred, standing } = refined(all, s, (counts) =>
          judge(countConditions(counts, s), s, start, horizon, lastOpened),
        );
        const certain = whole.filter(({ ended_at }) => ended_at! <= horizon.endUpTo);
        const before = whole
          .slice(certain.length)
          .filter(({ ended_at }) => lastOpened !== null && ended_at! <= lastOpened);
        const next = whole.slice(certain.length + before.length, certain.length + before.length + 1);
        const unended = (e: Episode) => ({ ...e, ended_at: null });
        assert.deepEqual(deferred, before.map(unended));
        assert.deepEqual(episodes, [...certain, ...next.map(unended)]);
        if (before.length > 0) {
          const due = before[0]!.ended_at!;
          assert.deepEqual(standing, { state: 'firing', since: next[0]!.opened_at, due });
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('agree with the model if the walk begins inside an episode', () => {
    fc.assert(
      fc.property(times, spec, offset, (all, s, at) => {
        const start = { at: BASE + at, firing: { since: BASE, opened_at: BASE } };
        const horizon = { openUpTo: BASE + 200_000, endUpTo: BASE + 200_000 };
        const { episodes } = refined(all, s, (counts) =>
          judge(countConditions(counts, s), s, start, horizon),
        );
        assert.deepEqual(episodes, modelEpisodes(all, s, start, horizon));
      }),
      { numRuns: 2000 },
    );
  });

  it('load no exact times while the count is far from the threshold', () => {
    const s: WindowSpec = {
      windowMs: 60_000,
      bucketMs: 1000,
      threshold: 100,
      recovery: 100,
      forMs: 0,
      keepFiringMs: 0,
    };
    const few = Array.from({ length: 50 }, (_, i) => BASE + i * 1000);
    const { standing } = judge(
      countConditions(countsOf(few, s), s),
      s,
      { at: BASE, firing: null },
      { openUpTo: BASE, endUpTo: BASE },
    );
    assert.deepEqual(standing, { state: 'ok' });
  });
});
