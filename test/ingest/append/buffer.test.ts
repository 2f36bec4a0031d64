import assert from 'node:assert/strict';
import type { Event } from '../../../domain/events/event.ts';
import type { Appended } from '../../../ingest/append/append.ts';
import { Buffer, type BufferLimits } from '../../../ingest/append/buffer.ts';
import { BufferFull } from '../../../ingest/outcome.ts';
import { anEvent } from '../../support/engine.ts';
import { waitFor } from '../../support/wait-for.ts';

const batch = (n: number, at = 1000): Event[] =>
  Array.from({ length: n }, () => anEvent({ occurred_at: at }));

/** A buffer whose appends end when the test says so. */
function gated(limits: Partial<BufferLimits> = {}) {
  const appends: { events: readonly Event[]; done: () => void; fail: (error: Error) => void }[] = [];
  const committed: string[][] = [];
  const buffer = new Buffer(
    (events) =>
      new Promise<Appended>((resolve, reject) => {
        const outcomes = events.map((event) => ({ status: 'stored' as const, event }));
        const outboxIds = [String(appends.length)];
        appends.push({ events, done: () => resolve({ outcomes, outboxIds }), fail: reject });
      }),
    (ids) => committed.push(ids),
    { bufferEvents: 100, appendEvents: 50, appendsInFlight: 1, besideEvents: 1, ...limits },
  );
  return { buffer, appends, committed };
}

const sizes = ({ appends }: ReturnType<typeof gated>) => appends.map(({ events }) => events.length);

describe('the buffer', () => {
  it('appends at once when idle, and events that arrive during an append share the next one', async () => {
    const there = gated();
    const first = there.buffer.accept(batch(1));
    const others = [batch(2), batch(3), batch(4)];
    const answers = others.map((events) => there.buffer.accept(events));
    assert.deepEqual(sizes(there), [1]);
    there.appends[0]!.done();
    await first;
    assert.deepEqual(sizes(there), [1, 9]);
    there.appends[1]!.done();
    for (const [i, answer] of answers.entries()) {
      const events = (await answer).map((outcome) => outcome.status === 'stored' && outcome.event);
      assert.deepEqual(events, others[i]);
    }
    assert.deepEqual(there.committed, [['0'], ['1']]);
  });

  it('puts at most the allowed number of events into one append, except for a single larger batch', async () => {
    const there = gated({ appendEvents: 5, bufferEvents: 1000 });
    const answers = [1, 3, 3, 8, 2].map((n) => there.buffer.accept(batch(n)));
    for (let i = 0; i < 5; i++) {
      there.appends[i]!.done();
      await answers[i];
    }
    assert.deepEqual(sizes(there), [1, 3, 3, 8, 2]);
  });

  it('runs as many appends at once as allowed', () => {
    const there = gated({ appendsInFlight: 2 });
    for (let i = 0; i < 4; i++) void there.buffer.accept(batch(1));
    assert.equal(there.appends.length, 2);
    assert.equal(there.buffer.load().inFlight, 2);
  });

  it('begins another append while one is running only for enough events', async () => {
    const there = gated({ appendsInFlight: 2, besideEvents: 5 });
    const answers = [3, 2, 2].map((n) => there.buffer.accept(batch(n)));
    assert.deepEqual(sizes(there), [3]);
    void there.buffer.accept(batch(1));
    assert.deepEqual(sizes(there), [3, 5]);
    void there.buffer.accept(batch(4));
    there.appends[0]!.done();
    await answers[0];
    assert.deepEqual(sizes(there), [3, 5], 'four are not enough either');
    there.appends[1]!.done();
    await answers[1];
    assert.deepEqual(sizes(there), [3, 5, 4]);
  });

  it('does not wait for an append that is held up, even if no other request comes', async () => {
    const there = gated({ appendsInFlight: 2, besideEvents: 50 });
    for (const n of [1, 2, 3]) void there.buffer.accept(batch(n));
    assert.deepEqual(sizes(there), [1]);
    await waitFor(() => there.appends.length === 2, { what: 'the append beside it' });
    assert.deepEqual(sizes(there), [1, 5]);
  });

  it('refuses events beyond its limit, says when to come again, and accepts more once there is room', async () => {
    const there = gated({ bufferEvents: 10 });
    const first = there.buffer.accept(batch(6));
    await there.buffer.accept(batch(5)).then(
      () => assert.fail('accepted'),
      (error) => {
        assert.ok(error instanceof BufferFull);
        assert.ok(error.retryAfterSeconds >= 1);
      },
    );
    const fits = there.buffer.accept(batch(4));
    assert.equal(there.buffer.load().buffered, 10);
    there.appends[0]!.done();
    await first;
    there.appends[1]!.done();
    await fits;
    assert.equal(there.buffer.load().buffered, 0);
    void there.buffer.accept(batch(10));
    assert.equal(there.appends.length, 3);
  });

  it('refuses unread requests if the usual number of events would not fit', async () => {
    const there = gated({ bufferEvents: 100 });
    const answers = [there.buffer.accept(batch(1))];
    for (let i = 0; i < 11; i++) answers.push(there.buffer.accept(batch(8)));
    there.buffer.requireRoom();
    answers.push(there.buffer.accept(batch(8)));
    assert.equal(there.buffer.load().buffered, 97);
    assert.throws(() => there.buffer.requireRoom(), BufferFull);
    for (let i = 0; i < there.appends.length; i++) {
      there.appends[i]!.done();
      await answers[i];
    }
    await Promise.all(answers);
    there.buffer.requireRoom();
  });

  it('does not refuse unread requests because a few earlier ones were large', async () => {
    const there = gated({ bufferEvents: 100 });
    void there.buffer.accept(batch(90));
    for (let i = 0; i < 50; i++) await assert.rejects(there.buffer.accept(batch(60)), BufferFull);
    there.buffer.requireRoom();
    void there.buffer.accept(batch(1));
    assert.throws(() => there.buffer.requireRoom(), BufferFull);
  });

  it('accepts a batch larger than itself when it is empty, since it would never fit otherwise', () => {
    const there = gated({ bufferEvents: 10 });
    void there.buffer.accept(batch(25));
    assert.deepEqual(sizes(there), [25]);
  });

  it('asks senders to wait longer the more events wait', async () => {
    const there = gated({ bufferEvents: 100_000, appendEvents: 100_000 });
    void there.buffer.accept(batch(50_000));
    const later = await there.buffer.accept(batch(60_000)).catch((error) => error);
    assert.equal(later.retryAfterSeconds, 5);
  });

  it('reports a failed append to each caller, and continues', async () => {
    const there = gated();
    const doomed = [there.buffer.accept(batch(1))];
    const next = there.buffer.accept(batch(2));
    there.appends[0]!.fail(new Error('gone'));
    await Promise.all(doomed.map((answer) => assert.rejects(answer, /gone/)));
    there.appends[1]!.done();
    assert.equal((await next).length, 2);
    assert.deepEqual(there.buffer.load(), { buffered: 0, inFlight: 0, oldestUnappended: null });
  });

  it('knows the oldest event that it holds, waiting or being appended', async () => {
    const there = gated();
    assert.equal(there.buffer.load().oldestUnappended, null);
    const first = there.buffer.accept([...batch(1, 700), ...batch(1, 500)]);
    void there.buffer.accept(batch(1, 600));
    assert.equal(there.buffer.load().oldestUnappended, 500);
    there.appends[0]!.done();
    await first;
    assert.equal(there.buffer.load().oldestUnappended, 600);
  });

  it('stops only after all accepted events are answered, and accepts no more', async () => {
    const there = gated();
    let answered = 0;
    for (let i = 0; i < 3; i++) void there.buffer.accept(batch(30)).then(() => answered++);
    const stopped = there.buffer.stop().then(() => answered);
    await assert.rejects(there.buffer.accept(batch(1)), BufferFull);
    for (let i = 0; i < there.appends.length; i++) {
      there.appends[i]!.done();
      // One turn of the event loop, because the next append starts after the answers of this one.
      await new Promise(setImmediate);
    }
    assert.equal(await stopped, 3);
    assert.deepEqual(sizes(there), [30, 30, 30]);
  });

  it('stops at once if it is empty', async () => {
    await gated().buffer.stop();
  });
});
