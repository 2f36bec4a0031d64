import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { DEAD_LETTER_SCHEDULE_MS } from '../../domain/dead-letters/dead-letter.ts';
import { batchSize } from '../../domain/producers/tick.ts';
import { timeSkippingServer } from '../../embedded/temporal/test-server.ts';
import { type Batch, type HeldBatch, producerStatus, stopProducer } from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';
import { keepHistory } from '../support/histories.ts';
import { simulated } from './settings.ts';
import { producerBundle } from './stage.ts';

const MINUTE = 60_000;
/** Of the Temporal API's IndexedValueType. */
const KEYWORD = 2;

describe('timers of producers and dead letters', () => {
  let env: TestWorkflowEnvironment;
  before(async function () {
    this.timeout(15 * MINUTE);
    env = await TestWorkflowEnvironment.createTimeSkipping(await timeSkippingServer());
    await env.connection.operatorService.addSearchAttributes({
      namespace: 'default',
      searchAttributes: { SourceId: KEYWORD },
    });
  });
  after(() => env?.teardown());

  type Activities = Record<string, (...args: never[]) => Promise<unknown>>;
  async function whileRunning(keeper: Activities, ingest: Activities, work: () => Promise<void>) {
    const connection = env.nativeConnection;
    const workflowBundle = await producerBundle();
    const workers = await Promise.all([
      Worker.create({ connection, workflowBundle, taskQueue: QUEUES.producers, activities: keeper }),
      Worker.create({ connection, taskQueue: QUEUES.ingest, activities: ingest }),
    ]);
    const ended = Promise.all(workers.map((worker) => worker.run()));
    try {
      await work();
    } finally {
      for (const worker of workers) worker.shutdown();
      await ended;
    }
  }

  it('let one batch through now and then during an hour of failures, and all batches once that one succeeds', async () => {
    const tries: { at: number; batch: Batch; failed: boolean }[] = [];
    const letters: number[] = [];
    let broken = true;
    const emitBatch = async (batch: Batch) => {
      tries.push({ at: await env.currentTimeMs(), batch, failed: broken });
      if (broken) throw ApplicationFailure.nonRetryable('no such column', FAILURES.refused);
      return { stored: 1, duplicates: 0, refused: 0 };
    };
    const settings = simulated({ rate_per_second: 0.1, tick_ms: 60_000 });
    const keeper = {
      producerRow: async () => ({ settings, paused: false }),
      deadLetterBatch: async ({ batch }: { batch: Batch }) => void letters.push(batch.first_sequence),
    };
    await whileRunning(keeper, { emitBatch }, async () => {
      const handle = await env.client.workflow.start('producer', {
        workflowId: 'producer/source-1',
        taskQueue: QUEUES.producers,
        args: [{ source_id: 'source-1', settings }],
      });
      await env.sleep('1 hour');
      assert.equal((await handle.query(producerStatus)).state, 'breaker open');
      const pauses = tries.slice(3).map(({ at }, i) => Math.round((at - tries[i + 2]!.at) / MINUTE));
      assert.deepEqual(pauses.slice(0, 6), [1, 2, 4, 8, 10, 10]);
      assert.ok(tries.length <= 12, `${tries.length} tries`);
      broken = false;
      await env.sleep('15 minutes');
      const status = await handle.query(producerStatus);
      assert.equal(status.state, 'running');
      assert.ok(status.behind_ms < 2 * MINUTE, `${status.behind_ms} ms behind`);
      await handle.executeUpdate(stopProducer, { args: [{ actor: 'test' }] });
      await handle.result();
      await keepHistory(handle, 'producer-hour');
    });
    // No sequence number is missing, whether its event was stored or became a dead letter.
    const firsts = tries.map(({ batch }) => batch.first_sequence).sort((a, b) => a - b);
    const sizes = new Map(tries.map(({ batch }) => [batch.first_sequence, size(batch)]));
    firsts.reduce((next, first) => {
      assert.equal(first, next);
      return first + sizes.get(first)!;
    }, 0);
    const failed = tries.filter((one) => one.failed).map(({ batch }) => batch.first_sequence);
    assert.deepEqual(letters, failed);
  });

  it('retry a dead letter with a transient failure on its schedule, and then leave it to people', async () => {
    const tries: number[] = [];
    let recorded = 0;
    const keeper = {
      recordDeadLetters: async (held: unknown[]) => {
        recorded += held.length;
      },
    };
    const ingest = {
      emitBatch: async () => assert.fail(),
      redriveBatches: async ({ ids }: { ids: string[] }) => {
        tries.push(await env.currentTimeMs());
        return { redriven: [], failed: ids };
      },
    };
    await whileRunning(keeper, ingest, async () => {
      const handle = await env.client.workflow.start('deadLetter', {
        workflowId: 'dead-letter/source-1',
        taskQueue: QUEUES.producers,
        args: [
          {
            source_id: 'source-1',
            resume: { unrecorded: [transient(await env.currentTimeMs())], retrying: [] },
          },
        ],
      });
      const start = await env.currentTimeMs();
      await handle.result();
      assert.equal(recorded, 1);
      const pauses = tries.map((at, i) => at - (tries[i - 1] ?? start));
      assert.equal(pauses.length, DEAD_LETTER_SCHEDULE_MS.length);
      pauses.forEach((pause, i) => {
        assert.ok(Math.abs(pause - DEAD_LETTER_SCHEDULE_MS[i]!) < 5000, `${pause} ms before try ${i + 1}`);
      });
      await keepHistory(handle, 'dead-letter-retried');
    });
  });
});

const size = ({ settings, from_at, tick_at }: Batch) => batchSize(settings, { from_at, tick_at });

const transient = (at: number): HeldBatch => ({
  id: '5a7b4a6e-3c1d-5f0b-9d6e-0f5d0a3e2b71',
  batch: {
    source_id: 'source-1',
    first_sequence: 0,
    ...{ from_at: at - 1000, tick_at: at, appended_through: at - 1000 },
    settings: simulated(),
  },
  failure: FAILURES.transient,
  reason: 'away',
  failed_at: at,
});
