import assert from 'node:assert/strict';
import { request } from 'node:http';
import { BufferFull, StoreUnavailable } from '../../../ingest/outcome.ts';
import { waitFor } from '../../support/wait-for.ts';
import { stage } from '../stage.ts';
import { event, lines, NDJSON } from './batch.ts';

describe('POST /events when it cannot store', () => {
  /** An API whose ingest fails from the `after`th call on. */
  const failing = (error: () => Error, after = 0) => {
    let calls = 0;
    return stage({
      change: ({ ingest }) => ({
        ingest: {
          ...ingest,
          accept: (events) => (calls++ < after ? ingest.accept(events) : Promise.reject(error())),
        },
      }),
    });
  };

  it('answers 503 and when to try again', async () => {
    const api = await failing(() => new BufferFull(7));
    const answer = await api.call('POST', '/events', [event()]);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '7');
    await api.close();
  });

  for (const [how, size] of [
    ['at once', 20],
    ['in parts', 100_000],
  ] as const) {
    it(`does not parse a body that came ${how} if the buffer filled up meanwhile`, async () => {
      let looks = 0;
      const requireRoom = () => {
        if (++looks > 1) throw new BufferFull(7);
      };
      const api = await stage({ change: ({ ingest }) => ({ ingest: { ...ingest, requireRoom } }) });
      const notJson = 'x'.repeat(size);
      const { status, headers } = await fetch(`${api.url}/events`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: notJson },
      });
      assert.deepEqual([status, headers.get('retry-after')], [503, '7']);
      await api.close();
    });
  }

  it('says how far a stream was processed, so that the rest can be sent again', async () => {
    const api = await failing(() => new StoreUnavailable('PostgreSQL is unavailable'), 1);
    const { hostname, port } = new URL(api.url);
    const sending = request({ hostname, port, path: '/events', method: 'POST', headers: NDJSON });
    const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
      sending.on('error', reject).on('response', async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode!, text });
      });
    });
    sending.write(lines([event(), event(), event()]));
    const stored = () => api.query('select 1 from events');
    await waitFor(async () => (await stored()).length === 3, { what: 'the first lines' });
    sending.end(lines([event()]));
    const { status, text } = await answered;
    assert.equal(status, 503);
    assert.equal(JSON.parse(text).lines, 3);
    assert.match(JSON.parse(text).detail, /first 3 lines are processed/);
    await api.close();
  });

  it('stops reading a stream while the buffer is full', async () => {
    let full = 3;
    const api = await stage({
      change: ({ ingest }) => ({
        ingest: {
          ...ingest,
          accept: (events) => (full-- > 0 ? Promise.reject(new BufferFull(1)) : ingest.accept(events)),
        },
      }),
    });
    assert.equal((await api.call('POST', '/events', lines([event()]), NDJSON)).body.stored, 1);
    await api.close();
  });
});
