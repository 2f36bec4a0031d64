import assert from 'node:assert/strict';
import { sharedLook } from '../../../process/metrics/shared-look.ts';

describe('a look that scrapes share', () => {
  const HOURS = 3_600_000;

  it('is taken once for all who ask together, and again only when it is no longer fresh', async () => {
    let looks = 0;
    const look = async () => ++looks;
    const fresh = sharedLook(look, HOURS);
    assert.deepEqual(await Promise.all([fresh(), fresh(), fresh()]), [1, 1, 1]);
    assert.equal(await fresh(), 1);
    const stale = sharedLook(look, 0);
    assert.equal(await stale(), 2);
    assert.equal(await stale(), 3);
  });

  it('that fails found nothing', async () => {
    const failing = sharedLook(async () => Promise.reject(new Error('away')), 0);
    assert.equal(await failing(), null);
  });

  it('that hangs is given up, and not joined by others until it ends', async () => {
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
