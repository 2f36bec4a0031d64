import assert from 'node:assert/strict';
import { judge } from '../../../domain/rules/episodes.ts';
import type { WindowSpec } from '../../../domain/rules/rule.ts';
import { atLeast, signalOf } from '../../../domain/rules/series.ts';
import { bucketMsOf, bucketOf, NeedsTimes, WindowCounts } from '../../../domain/rules/window.ts';
import { countConditions } from '../../support/count-conditions.ts';

const BASE = 1_700_000_000_000;
const spec: WindowSpec = {
  windowMs: 10_000,
  bucketMs: 1000,
  threshold: 2,
  recovery: 2,
  forMs: 0,
  keepFiringMs: 0,
};

/** Counts for which every exact time is known. */
function exactly(...times: number[]): WindowCounts {
  const known = new Map<number, number[]>();
  for (const time of times.toSorted((a, b) => a - b)) {
    const bucket = bucketOf(time, spec.bucketMs);
    known.set(bucket, [...(known.get(bucket) ?? []), time]);
  }
  return new WindowCounts(spec, new Map(), known);
}

describe('the edges of a window', () => {
  for (const at of [BASE, BASE + 1, BASE + 999]) {
    it(`both belong to it, to the millisecond (event at +${at - BASE} ms)`, () => {
      const counts = exactly(at);
      assert.equal(counts.countAt(at - 1), 0);
      assert.equal(counts.countAt(at), 1);
      assert.equal(counts.countAt(at + spec.windowMs), 1);
      assert.equal(counts.countAt(at + spec.windowMs + 1), 0);
    });
  }

  it('let two events exactly one window apart count together for one millisecond', () => {
    const [first, second] = [BASE + 17, BASE + 17 + spec.windowMs];
    const horizon = { openUpTo: BASE + 100_000, endUpTo: BASE + 100_000 };
    const start = { at: BASE - 1000, firing: null };
    assert.deepEqual(judge(countConditions(exactly(first, second), spec), spec, start, horizon).episodes, [
      { since: second, opened_at: second, ended_at: second + 1 },
    ]);
    assert.deepEqual(
      judge(countConditions(exactly(first, second + 1), spec), spec, start, horizon).episodes,
      [],
    );
  });

  it('are read by their buckets, and only if the counts do not decide', () => {
    const counts = new WindowCounts(
      spec,
      new Map([
        [BASE, 1],
        [BASE + 5000, 1],
      ]),
      new Map(),
    );
    // At +9.5 s the first bucket is wholly in the window; at +10.5 s it is partly in it.
    const two = signalOf(counts, atLeast(2));
    assert.equal(two.nextTrue(BASE + 9500), BASE + 9500);
    assert.throws(
      () => two.nextFalse(BASE + 10_500),
      (error) => error instanceof NeedsTimes && error.buckets.length === 1 && error.buckets[0] === BASE,
    );
  });

  it('lie in buckets of a sixtieth of the window, and of a second at least', () => {
    assert.equal(bucketMsOf(1000), 1000);
    assert.equal(bucketMsOf(60_000), 1000);
    assert.equal(bucketMsOf(61_000), 1017);
    assert.equal(bucketMsOf(3_600_000), 60_000);
  });
});
