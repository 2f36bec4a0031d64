import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { NativeConnection, Worker } from '@temporalio/worker';
import { QUEUES } from '../../../workflows/queues.ts';
import { temporalAddress } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Stage, stage } from '../stage.ts';

describe('/backpressure', () => {
  let api: Stage;
  before(async () => {
    api = await stage({ temporal: 'working' });
  });
  after(() => api.close());

  it('shows the ingest queue and limits it at run time', async () => {
    const before = await api.get('/backpressure');
    assert.equal(before.status, 200);
    assert.deepEqual(
      [before.body.queue, before.body.activities_per_second, before.body.set_by],
      ['ingest', 100, 'worker'],
    );
    assert.deepEqual(before.body.worker_limits, [100]);
    const stopped = await api.put('/backpressure', { activities_per_second: 0 });
    assert.deepEqual([stopped.body.activities_per_second, stopped.body.set_by], [0, 'api']);
    const settings = { rate_per_second: 20, tick_ms: 100 };
    const producer = { id: 'held-back', kind: 'simulated', settings };
    assert.equal((await api.post('/producers', producer)).status, 201);
    await waitFor(async () => (await api.get('/backpressure')).body.backlog > 0, { what: 'a backlog' });
    const opened = await api.put('/backpressure', { activities_per_second: null });
    assert.deepEqual([opened.body.activities_per_second, opened.body.set_by], [100, 'worker']);
    await waitFor(async () => (await api.get('/events/source/held-back')).body.length > 0, {
      what: 'events',
    });
    await api.delete('/producers/held-back');
  });

  it('refuses a redrive while the queue is stopped, and says why', async () => {
    const id = randomUUID();
    await api.query(`insert into dead_letters
      (id, source_id, kind, state, failure, reason, content, event_count, created_at, updated_at)
      values ('${id}', 'abc', 'event', 'waiting', 'invalid', 'bad', '{}', 1, now(), now())`);
    await api.put('/backpressure', { activities_per_second: 0 });
    for (const answer of [
      await api.post(`/dead-letters/${id}/redrive`),
      await api.post('/dead-letters/redrive', { ids: [id] }),
    ]) {
      assert.equal(answer.status, 409);
      assert.match(answer.body.detail, /the ingest queue is stopped/);
    }
    assert.equal((await api.get(`/dead-letters/${id}`)).body.attempts, 0);
    await api.put('/backpressure', { activities_per_second: null });
  });

  it('shows the limits of differently configured workers, and the one in force', async () => {
    const connection = await NativeConnection.connect({ address: await temporalAddress() });
    const other = await Worker.create({
      connection,
      namespace: api.client.options.namespace,
      taskQueue: QUEUES.ingest,
      // Temporal distinguishes workers by their identity.
      identity: 'another process',
      activities: { unused: async () => {} },
      maxTaskQueueActivitiesPerSecond: 7,
    });
    await other.runUntil(async () => {
      const look = async () => (await api.get('/backpressure')).body;
      const seen = await waitFor(
        async () => {
          const body = await look();
          return body.worker_limits.length > 1 ? body : null;
        },
        { what: 'both to have asked for batches' },
      );
      assert.deepEqual(seen.worker_limits, [7, 100]);
      assert.equal(seen.set_by, 'worker');
      assert.ok([7, 100].includes(seen.activities_per_second));
    });
    await connection.close();
  });
});

describe('/backpressure without a worker', () => {
  it('says that nobody has set a limit', async () => {
    const api = await stage({ temporal: 'idle' });
    try {
      const { status, body } = await api.get('/backpressure');
      assert.deepEqual([status, body.set_by, body.worker_limits], [200, 'temporal', []]);
    } finally {
      await api.close();
    }
  });
});
