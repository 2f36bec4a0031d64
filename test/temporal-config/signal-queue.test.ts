import assert from 'node:assert/strict';
import { SignalQueue } from '../../temporal-config/signals/queue.ts';

/** A Temporal whose answers the test releases, one signal at a time. */
function heldTemporal() {
  const asked: { id: string; answer: PromiseWithResolvers<void> }[] = [];
  const failures: unknown[] = [];
  const queue = new SignalQueue(
    (id) => {
      const answer = Promise.withResolvers<void>();
      asked.push({ id, answer });
      return answer.promise;
    },
    (error) => failures.push(error),
  );
  return { queue, asked, failures };
}

const ids = (n: number) => Array.from({ length: n }, (_, i) => `id-${i}`);
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a queue of signals', () => {
  it('sends sixteen signals at once, and the next one as soon as one is answered', async () => {
    const { queue, asked } = heldTemporal();
    const all = queue.add(ids(18));
    assert.equal(asked.length, 16);
    asked[3]!.answer.resolve();
    await settled();
    assert.deepEqual(
      asked.slice(16).map(({ id }) => id),
      ['id-16'],
    );
    for (let i = 0; i < 18; i++) {
      asked[i]!.answer.resolve();
      await settled();
    }
    await all;
  });

  it('sends one signal for all who ask while it waits, and another for those who ask after it was sent', async () => {
    const { queue, asked } = heldTemporal();
    const all = [queue.add(ids(16)), queue.add(['a', 'a']), queue.add(['a', 'id-0'])];
    for (let i = 0; i < 18; i++) {
      asked[i]!.answer.resolve();
      await settled();
    }
    await Promise.all(all);
    assert.deepEqual(
      asked.slice(16).map(({ id }) => id),
      ['a', 'id-0'],
    );
  });

  it('continues after a failure, and resolves for callers that waited', async () => {
    const { queue, asked, failures } = heldTemporal();
    const all = queue.add(['a', 'b']);
    asked[0]!.answer.reject(new Error('away'));
    asked[1]!.answer.resolve();
    await all;
    assert.deepEqual(failures.map(String), ['Error: away']);
  });

  it('drops waiting signals if one fails after the stop', async () => {
    const { queue, asked } = heldTemporal();
    const all = queue.add(ids(40));
    const stopped = queue.stop();
    for (const { answer } of asked) answer.reject(new Error('away'));
    await Promise.all([all, stopped]);
    assert.equal(asked.length, 16);
    await queue.add(['late']);
    assert.equal(asked.length, 16);
  });
});
