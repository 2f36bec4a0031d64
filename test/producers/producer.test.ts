import assert from 'node:assert/strict';
import type { WorkflowHandle } from '@temporalio/client';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import {
  configureProducer,
  pauseProducer,
  resumeProducer,
  setProducerRate,
  stopProducer,
} from '../../workflows/messages.ts';
import { keepHistory } from '../support/histories.ts';
import { waitFor } from '../support/wait-for.ts';
import { simulated } from './settings.ts';
import { type Stage, stage } from './stage.ts';

const by = { actor: 'test' };

describe('a simulated producer', () => {
  let there: Stage;
  /** What an append waits for before it stores. */
  let held: Promise<void> | null = null;
  before(async () => {
    there = await stage({
      between: (ingest) => ({
        ...ingest,
        accept: async (events) => {
          await held;
          return ingest.accept(events);
        },
      }),
    });
  });
  afterEach(() => {
    held = null;
  });
  after(() => there.close());

  const rejected = (work: Promise<unknown>, reason: RegExp) =>
    assert.rejects(work, (error: Error) => reason.test((error.cause as Error).message));

  it('stores every sequence number once, and never reports more than is stored', async () => {
    const handle = await there.start('source-1', simulated());
    const claims: { through: number; stored: number }[] = [];
    const storedBefore = async (at: number) =>
      (await there.stored('source-1')).filter((event) => event.occurred_at < at).length;
    await waitFor(
      async () => {
        const through = Number((await there.row('source-1')).appendedThrough);
        claims.push({ through, stored: await storedBefore(through) });
        return (await there.stored('source-1')).length >= 60;
      },
      { what: '60 events' },
    );
    await there.stop(handle);

    const events = await there.stored('source-1');
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, i) => i),
    );
    assert.equal((await there.row('source-1')).appended, events.length);
    assert.ok(claims.at(-1)!.through > events[0]!.occurred_at);
    for (const { through, stored } of claims) assert.equal(stored, await storedBefore(through));
    await keepHistory(handle, 'producer-stopped');
  });

  it('pauses, resumes from now without a gap in its sequence, and refuses invalid settings', async () => {
    const handle = await there.start('source-2', simulated());
    const told = (update: typeof pauseProducer) => handle.executeUpdate(update, { args: [by] });
    await there.storedCount('source-2', 4);
    await rejected(told(resumeProducer), /running already/);
    assert.equal((await told(pauseProducer)).state, 'paused');
    await rejected(told(pauseProducer), /paused already/);
    await waitFor(async () => (await there.status(handle)).in_flight === 0, { what: 'batches to land' });
    const paused = await there.stored('source-2');
    assert.equal((await told(resumeProducer)).state, 'running');
    const rate = { rate_per_second: 100 };
    await handle.executeUpdate(setProducerRate, { args: [rate] });
    await rejected(handle.executeUpdate(setProducerRate, { args: [{ rate_per_second: -1 }] }), /negative/);
    await rejected(handle.executeUpdate(setProducerRate, { args: [{ rate_per_second: 1e6 }] }), /of a batch/);
    await there.storedCount('source-2', paused.length + 60);
    await there.stop(handle);

    const events = await there.stored('source-2');
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, i) => i),
    );
    assert.deepEqual(events.slice(0, paused.length), paused);
    await keepHistory(handle, 'producer-paused');
  });

  it('continues where it was after continue-as-new', async () => {
    // Fast ticks, so that a run reaches its number of batches within seconds.
    const handle = await there.start('source-3', simulated({ tick_ms: 20, rate_per_second: 50 }));
    await handle.executeUpdate(setProducerRate, { args: [{ rate_per_second: 60 }] });
    const { runId } = await handle.describe();
    const next = there.client.workflow.getHandle(handle.workflowId);
    await waitFor(async () => (await next.describe()).runId !== runId, { what: 'a second run' });
    const { next_sequence, settings } = await there.status(next);
    assert.deepEqual(settings, simulated({ tick_ms: 20, rate_per_second: 60 }));
    await there.storedCount('source-3', next_sequence + 20);
    await there.stop(next);
    const events = await there.stored('source-3');
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, i) => i),
    );
    const first: WorkflowHandle = there.client.workflow.getHandle(handle.workflowId, runId);
    const history = await first.fetchHistory();
    assert.ok(history.events!.length < 4096, `${history.events!.length} events in a run`);
  });

  it('accepts no settings while it is stopping', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    const handle = await there.start('source-5', simulated());
    await waitFor(async () => (await there.status(handle)).in_flight > 0, { what: 'a batch on its way' });
    await handle.executeUpdate(stopProducer, { args: [by] });
    const settings = simulated({ rate_per_second: 1 });
    await rejected(handle.executeUpdate(configureProducer, { args: [{ settings }] }), /stopping/);
    resolve();
    await handle.result();
  });

  it('ends when its row is gone, and starts paused if its row says so', async () => {
    const started = (id: string) =>
      there.client.workflow.start('producer', {
        workflowId: `producer/${id}`,
        taskQueue: 'producers',
        args: [{ source_id: id, settings: simulated() }],
      });
    await (await started('nobody')).result();
    const orphan = await there.start('source-6', simulated());
    await there.storedCount('source-6', 4);
    await sql`delete from producers where id = 'source-6'`.execute(sqlOf(there.orm));
    await orphan.result();
    const handle = await there.start('source-4', simulated(), true);
    await there.stop(handle);
    const again = await started('source-4');
    await waitFor(async () => (await there.status(again)).state === 'paused', { what: 'it to be paused' });
    assert.equal((await there.status(again)).next_sequence, 0);
    await there.stop(again);
  });
});
