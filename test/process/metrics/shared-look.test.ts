import assert from 'node:assert/strict';
import { sharedLook } from '../../../process/metrics/shared-look.ts';

describe('a query that scrapes share', () => {
  const HOURS = 3_600_000;

  it('runs once for all concurrent scrapes, and again only when its result is no longer fresh', async () => {
    let looks = 0;
    const look = async () => ++looks;
    const fresh = sharedLook(look, HOURS);
    assert.deepEqual(await Promise.all([fresh(), fresh(), fresh()]), [1, 1, 1]);
    assert.equal(await fresh(), 1);
    const stale = sharedLook(look, 0);
    assert.equal(await stale(), 2);
    assert.equal(await stale(), 3);
  });

  it('returns null if it fails', async () => {
    const failing = sharedLook(async () => Promise.reject(new Error('away')), 0);
    assert.equal(await failing(), null);
  });

  it('is given up if it hangs, and not started again until it ends', async () => {
    let looks = 0;
    const { promise, resolve } = Promise.withResolvers<string>();
    const look = sharedLook(
      () => {
        looks += 1;
        return looks === 1 ? promise : Promise.resolve('again');
      },
      0,
      5,
    );
    assert.equal(await look(), null);
    assert.equal(await look(), null);
    assert.equal(looks, 1);
    resolve('late');
    await promise;
    // By the next turn of the event loop, the late query has reported its end.
    await new Promise((turn) => setImmediate(turn));
    assert.equal(await look(), 'again');
  });
});
