import assert from 'node:assert/strict';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { deadLetterId } from '../../domain/producers/simulate.ts';
import { addDeadLetter, type HeldBatch, redriveDeadLetters } from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';
import { deadLetterWorkflow } from '../../workflows/startable.ts';
import { waitFor } from '../support/wait-for.ts';
import { simulated } from './settings.ts';
import { type Stage, stage } from './stage.ts';

const ACTIVITY_QUEUE = 2;

describe('a limited ingest queue', () => {
  let there: Stage;
  before(async () => {
    there = await stage({ rateLimit: 2 });
  });
  after(() => there.close());

  const limit = (requestsPerSecond: number) =>
    there.client.workflowService.updateTaskQueueConfig({
      namespace: there.namespace,
      taskQueue: QUEUES.ingest,
      taskQueueType: ACTIVITY_QUEUE,
      updateQueueRateLimit: { rateLimit: { requestsPerSecond }, reason: 'test' },
    });
  const backlog = async () => {
    const described = await there.client.workflowService.describeTaskQueue({
      namespace: there.namespace,
      taskQueue: { name: QUEUES.ingest },
      taskQueueType: ACTIVITY_QUEUE,
      reportStats: true,
    });
    return Number(described.stats?.approximateBacklogCount ?? 0);
  };

  it('makes producers fall behind with a bounded number of batches in flight, and they catch up when the limit is lifted', async () => {
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

    await limit(1000);
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
      // 20 events per second of event time, up to one tick more or less: late events keep their own times.
      const seconds = (events.at(-1)!.occurred_at - events[0]!.occurred_at) / 1000;
      assert.ok(Math.abs(events.length - 20 * seconds) <= 12, `${events.length} events in ${seconds} s`);
    }
  });

  it('also limits retries and redrives of dead letters, but not recording them', async () => {
    const letter = (first_sequence: number): HeldBatch => {
      const tick_at = Math.floor(Date.now() / 1000) * 1000 - 60_000 + first_sequence * 1000;
      const times = { from_at: tick_at - 1000, tick_at, appended_through: tick_at - 1000 };
      const batch = { source_id: 'letters', first_sequence, ...times, settings: simulated() };
      const id = deadLetterId('batch', 'letters', first_sequence, tick_at);
      return { id, batch, failure: FAILURES.transient, reason: 'away', failed_at: Date.now() };
    };
    const message = () => {
      const { type, ...options } = deadLetterWorkflow('letters');
      return new WithStartWorkflowOperation(type, { ...options, workflowIdConflictPolicy: 'USE_EXISTING' });
    };
    const add = (held: HeldBatch) =>
      there.client.workflow.executeUpdateWithStart(addDeadLetter, {
        args: [held],
        startWorkflowOperation: message(),
      });
    await limit(0);
    const [first, second, third] = [letter(0), letter(20), letter(40)];
    await add(first);
    await waitFor(async () => (await backlog()) === 1, { what: 'its own retry to wait', timeoutMs: 45_000 });
    await add(second);
    const redriven = there.client.workflow.executeUpdateWithStart(redriveDeadLetters, {
      args: [{ ids: [second.id], actor: 'test' }],
      startWorkflowOperation: message(),
    });
    await waitFor(async () => (await backlog()) >= 2, { what: 'the redrive to wait' });
    // While both wait, a third producer is created.
    await add(third);
    await waitFor(async () => (await there.held('letters')).unrecorded === 0, { what: 'its record' });
    assert.deepEqual(
      (await there.letters('letters')).map(({ state }) => state),
      ['waiting', 'waiting', 'waiting'],
    );
    assert.deepEqual(await there.stored('letters'), []);
    await limit(1000);
    assert.deepEqual(await redriven, { redriven: [second.id], failed: [] });
    await there.deadLetters('letters').result();
    assert.deepEqual(
      (await there.letters('letters')).map(({ state }) => state),
      ['redriven', 'redriven', 'redriven'],
    );
    assert.equal((await there.stored('letters')).length, 60);
  });
});
