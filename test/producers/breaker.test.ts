import assert from 'node:assert/strict';
import { allowedInFlight, closedBreaker, failed, succeeded } from '../../workflows/producers/breaker.ts';

const MINUTE = 60_000;

describe('the breaker', () => {
  it('opens at the third failure in a row, each time for twice as long, up to ten minutes', () => {
    const breaker = closedBreaker();
    failed(breaker, 0);
    failed(breaker, 0);
    succeeded(breaker);
    failed(breaker, 0);
    failed(breaker, 0);
    assert.equal(allowedInFlight(breaker, 0, 4), 4);
    const pauses: number[] = [];
    let now = 0;
    for (let i = 0; i < 6; i += 1) {
      failed(breaker, now);
      // Late failures of the same outage do not lengthen the pause.
      failed(breaker, now);
      assert.equal(allowedInFlight(breaker, now, 4), 0);
      pauses.push(breaker.retry_at! - now);
      now = breaker.retry_at!;
      assert.equal(allowedInFlight(breaker, now, 4), 1);
    }
    assert.deepEqual(
      pauses.map((pause) => pause / MINUTE),
      [1, 2, 4, 8, 10, 10],
    );
    succeeded(breaker);
    assert.equal(allowedInFlight(breaker, now, 4), 4);
  });
});
