import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { WindowSpec } from '../../../domain/rules/rule.ts';
import { bucketOf } from '../../../domain/rules/window.ts';
import { anyWindowSpec } from '../../support/any-window-spec.ts';
import { modelEpisodes } from '../../support/model.ts';
import { WalkedGroup } from '../../support/walked.ts';

const BASE = 1_700_000_000_000;

const ms = fc.constantFrom(-1, 0, 0, 1, 500);
/** Most times lie within two minutes. The others are far apart, with many buckets in between. */
const offset = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.integer({ min: 0, max: 40 }), ms).map(([s, m]) => s * 1000 + m) },
  { weight: 2, arbitrary: fc.tuple(fc.integer({ min: 900, max: 930 }), ms).map(([s, m]) => s * 1000 + m) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2000 }).map((s) => s * 1000) },
);
/** A long time of firing, so that a walk crosses pages inside an episode. */
const busy = fc
  .tuple(fc.integer({ min: 0, max: 1500 }), fc.integer({ min: 10, max: 600 }))
  .map(([from, n]) => Array.from({ length: n }, (_, i) => (from + i) * 1000));
const arrivals = fc.oneof(
  { weight: 6, arbitrary: fc.array(offset, { minLength: 1, maxLength: 6 }) },
  { weight: 1, arbitrary: busy },
);

const END = BASE + 3_000_000;

describe('walking along changes', () => {
  it('gives the same incidents as a brute-force walk over all events, in any order of arrival', () => {
    const steps = fc.array(
      fc.record({ arrivals, now: fc.integer({ min: 0, max: 2100 }), lag: fc.constantFrom(0, 0, 5, 300) }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(anyWindowSpec, steps, (s, given) => {
        const group = new WalkedGroup(s);
        let now = 0;
        let watermark = 0;
        for (const step of given) {
          now = Math.max(now, step.now * 1000);
          watermark = Math.max(watermark, now - step.lag * 1000);
          group.judge(
            step.arrivals.map((at) => BASE + at),
            { openUpTo: BASE + now, endUpTo: BASE + watermark },
          );
        }
        for (let last = -1; last !== group.read; ) {
          last = group.read;
          group.judge([], { openUpTo: END, endUpTo: END });
        }
        assert.deepEqual(
          group.incidents.map(({ since, opened_at, ended_at }) => ({ since, opened_at, ended_at })),
          modelEpisodes(
            group.times,
            s,
            { at: BASE - 100_000, firing: null },
            { openUpTo: END, endUpTo: END },
          ),
        );
      }),
      { numRuns: Number(process.env.MODEL_RUNS ?? 400) },
    );
  });

  const base: WindowSpec = {
    ...{ windowMs: 10_000, bucketMs: 1000, threshold: 3, recovery: 3, forMs: 0, keepFiringMs: 0 },
  };
  const late: Record<string, { spec: WindowSpec; every: number; at: number[] }> = {
    'fires in silence': { spec: base, every: 60_000, at: [5_000_000, 5_000_001, 5_000_002] },
    'adds to what fires': { spec: base, every: 1000, at: [5_000_000] },
    'is one too few': { spec: { ...base, threshold: 13, recovery: 13 }, every: 1000, at: [5_000_000] },
    'keeps firing for a minute': {
      spec: { ...base, threshold: 12, recovery: 12, keepFiringMs: 60_000 },
      ...{ every: 1000, at: [5_000_000, 5_000_500, 5_000_600] },
    },
    'reaches two places': { spec: base, every: 60_000, at: [5_000_000, 5_000_001, 5_000_002, 9_000_000] },
  };
  for (const [what, { spec: s, every, at }] of Object.entries(late)) {
    it(`reads a limited number of later buckets if a late event ${what}`, () => {
      const group = new WalkedGroup(s);
      const n = Math.floor(20_000_000 / every);
      const times = Array.from({ length: n }, (_, i) => BASE + i * every);
      const horizon = { openUpTo: BASE + 20_000_000, endUpTo: BASE + 20_000_000 };
      group.judge(times, horizon);
      group.read = 0;
      group.judge(
        at.map((ms) => BASE + ms),
        horizon,
      );
      assert.ok(group.read < 400, `${group.read} of ${new Set(times.map((t) => bucketOf(t, 1000))).size}`);
      const start = { at: BASE - 1, firing: null };
      if (n < 1000) {
        assert.deepEqual(
          group.incidents.map(({ since, opened_at, ended_at }) => ({ since, opened_at, ended_at })),
          modelEpisodes(group.times, s, start, horizon),
        );
      } else assert.ok(group.incidents.length <= 2);
    });
  }

  it('knows when an episode opened that spans two changes', () => {
    const group = new WalkedGroup(base);
    const seconds = Array.from({ length: 2000 }, (_, i) => BASE + i * 1000);
    const horizon = { openUpTo: BASE + 2_000_000, endUpTo: BASE + 1_990_000 };
    group.judge(seconds, horizon);
    group.judge([BASE - 1000, BASE - 500, BASE + 1_500_000], horizon);
    assert.equal(group.incidents.length, 1);
    const { standing } = group.last;
    assert.equal(standing.state === 'firing' && standing.since - BASE, 0);
  });
});
