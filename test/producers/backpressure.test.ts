import assert from 'node:assert/strict';
import { QUEUES } from '../../workflows/queues.ts';
import { waitFor } from '../support/wait-for.ts';
import { simulated } from './settings.ts';
import { type Stage, stage } from './stage.ts';

const ACTIVITY_QUEUE = 2;

describe('a throttled ingest queue', () => {
  let there: Stage;
  before(async () => {
    there = await stage({ rateLimit: 2 });
  });
  after(() => there.close());

  const backlog = async () => {
    const described = await there.client.workflowService.describeTaskQueue({
      namespace: there.namespace,
      taskQueue: { name: QUEUES.ingest },
      taskQueueType: ACTIVITY_QUEUE,
      reportStats: true,
    });
    return Number(described.stats?.approximateBacklogCount ?? 0);
  };

  it('makes producers fall behind with bounded batches in flight, and they catch up when it is opened', async () => {
    const names = ['source-1', 'source-2', 'source-3'];
    const settings = simulated({ tick_ms: 500 });
    const handles = await Promise.all(names.map((name) => there.start(name, settings)));
    const statuses = () => Promise.all(handles.map(there.status));
    const deepest = { backlog: 0, inFlight: 0 };
    await waitFor(
      async () => {
        const now = await statuses();
        deepest.backlog = Math.max(deepest.backlog, await backlog());
        deepest.inFlight = Math.max(deepest.inFlight, ...now.map(({ in_flight }) => in_flight));
        return now.every(({ behind_ms }) => behind_ms > 1000);
      },
      { what: 'producers to say that they are behind' },
    );
    assert.equal(deepest.inFlight, 4);
    assert.ok(deepest.backlog <= 4 * names.length, `${deepest.backlog} in the backlog`);
    const description = await handles[0]!.describe();
    assert.deepEqual(description.searchAttributes.SourceId, ['source-1']);

    await there.client.workflowService.updateTaskQueueConfig({
      namespace: there.namespace,
      taskQueue: QUEUES.ingest,
      taskQueueType: ACTIVITY_QUEUE,
      updateQueueRateLimit: { rateLimit: { requestsPerSecond: 1000 }, reason: 'test' },
    });
    await waitFor(async () => (await statuses()).every(({ behind_ms }) => behind_ms < 1000), {
      what: 'producers to catch up',
      timeoutMs: 60_000,
    });
    await Promise.all(handles.map(there.stop));
    for (const name of names) {
      const events = await there.stored(name);
      assert.deepEqual(
        events.map(({ sequence }) => sequence),
        events.map((_, i) => i),
      );
      // 20 a second of event time, give or take a tick: what was late has kept its own time.
      const seconds = (events.at(-1)!.occurred_at - events[0]!.occurred_at) / 1000;
      assert.ok(Math.abs(events.length - 20 * seconds) <= 12, `${events.length} events in ${seconds} s`);
    }
  });
});
