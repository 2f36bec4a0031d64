import assert from 'node:assert/strict';
import { repeat } from '../../process/repeat.ts';
import { waitFor } from '../support/wait-for.ts';

describe('repeated work', () => {
  it('starts the first round at once, and never runs two rounds at the same time', async () => {
    let rounds = 0;
    let underWay = 0;
    let most = 0;
    const work = repeat(async () => {
      rounds++;
      most = Math.max(most, ++underWay);
      await new Promise(setImmediate);
      underWay--;
    }, 0);
    assert.equal(rounds, 1);
    await waitFor(() => rounds >= 5, { what: 'five rounds', everyMs: 1 });
    await work.stop();
    assert.equal(most, 1);
  });

  it('stops once the current round has ended, and starts no other', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    let rounds = 0;
    const work = repeat(() => {
      rounds++;
      return gate;
    }, 0);
    let stopped = false;
    const stop = work.stop().then(() => {
      stopped = true;
    });
    await new Promise(setImmediate);
    assert.equal(stopped, false);
    open();
    await stop;
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(rounds, 1);
  });
});
