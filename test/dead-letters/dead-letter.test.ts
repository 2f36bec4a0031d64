import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { spansWithin } from '../../db/queries/system/deaf-spans.ts';
import { deadLetterId } from '../../domain/producers/simulate.ts';
import { type Ingest, StoreUnavailable } from '../../ingest/outcome.ts';
import { deadLetterWorkflowId } from '../../workflows/ids.ts';
import {
  addDeadLetter,
  type Batch,
  discardDeadLetters,
  type HeldBatch,
  redriveDeadLetters,
} from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';
import { simulated } from '../producers/settings.ts';
import { type Stage, stage } from '../producers/stage.ts';
import { keepHistory } from '../support/histories.ts';
import { waitFor } from '../support/wait-for.ts';

describe('dead letters', () => {
  let there: Stage;
  /** What the append does instead of storing; null: it stores. */
  let outage: (() => Error) | null = null;
  /** Runs once, after the append was called and before it stores. */
  let meanwhile: (() => Promise<unknown>) | null = null;
  const refusing = (ingest: Ingest): Ingest => ({
    ...ingest,
    accept: async (events) => {
      if (outage) throw outage();
      const first = meanwhile;
      meanwhile = null;
      await first?.();
      return ingest.accept(events);
    },
  });
  before(async () => {
    there = await stage({ between: refusing });
  });
  afterEach(() => {
    outage = null;
  });
  after(() => there.close());

  const finalRefusal = () => ApplicationFailure.nonRetryable('refused for good', FAILURES.refused);
  const withStart = (source_id: string) =>
    new WithStartWorkflowOperation('deadLetter', {
      workflowId: deadLetterWorkflowId(source_id),
      taskQueue: QUEUES.producers,
      args: [{ source_id }],
      workflowIdConflictPolicy: 'USE_EXISTING',
    });
  const redrive = (source_id: string, ids: string[]) =>
    there.client.workflow.executeUpdateWithStart(redriveDeadLetters, {
      args: [{ ids, actor: 'test' }],
      startWorkflowOperation: withStart(source_id),
    });
  const discard = (source_id: string, ids: string[]) =>
    there.client.workflow.executeUpdateWithStart(discardDeadLetters, {
      args: [{ ids, actor: 'test' }],
      startWorkflowOperation: withStart(source_id),
    });
  const add = (held: HeldBatch) =>
    there.client.workflow.executeUpdateWithStart(addDeadLetter, {
      args: [held],
      startWorkflowOperation: withStart(held.batch.source_id),
    });
  const held = (source_id: string, failure: string, tick_at = Date.now()): HeldBatch => {
    const batch = { source_id, first_sequence: 0, from_at: tick_at - 1000, tick_at, settings: simulated() };
    return {
      id: deadLetterId('batch', source_id, 0, tick_at),
      batch: { ...batch, appended_through: batch.from_at },
      failure,
      reason: 'as the test says',
      failed_at: Date.now(),
    };
  };
  /** For writers, a PostgreSQL without the table dead_letters is like one that is down. */
  const rename = (from: string, to: string) =>
    sql.raw(`alter table ${from} rename to ${to}`).execute(sqlOf(there.orm));

  it('store a batch that failed for good, open the breaker after three, and store each event once when redriven', async () => {
    outage = finalRefusal;
    const handle = await there.start('source-1', simulated());
    const status = await waitFor(
      async () => {
        const now = await there.status(handle);
        return now.state === 'breaker open' && now.in_flight === 0 ? now : null;
      },
      { what: 'the breaker to open' },
    );
    assert.match(status.last_error!, /refused for good/);
    assert.equal(status.emitted, 0);
    const letters = await waitFor(
      async () => {
        const rows = await there.letters('source-1');
        const events = rows.reduce((sum, { eventCount }) => sum + eventCount, 0);
        return events === status.dead_lettered ? rows : null;
      },
      { what: 'every failed batch on record' },
    );
    assert.ok(letters.length >= 3);
    assert.deepEqual(
      new Set(letters.map(({ kind, state, failure }) => `${kind} ${state} ${failure}`)),
      new Set(['batch waiting refused']),
    );

    const ids = letters.map(({ id }) => id);
    assert.deepEqual(new Set((await redrive('source-1', ids)).failed), new Set(ids));
    outage = null;
    const [first, ...rest] = ids as [string, ...string[]];
    assert.deepEqual(await discard('source-1', [first]), { discarded: [first] });
    // Two redrives at once, and a third: a redriven batch is stored once, a discarded one not at all.
    await Promise.all([redrive('source-1', ids), redrive('source-1', rest)]);
    assert.deepEqual(await redrive('source-1', ids), { redriven: [], failed: [] });
    await there.stop(handle);
    const settled = await there.letters('source-1');
    assert.deepEqual(
      settled.map(({ state }) => state),
      ['discarded', ...rest.map(() => 'redriven')],
    );
    const expected = settled.slice(1).reduce((sum, { eventCount }) => sum + eventCount, 0);
    assert.equal((await there.stored('source-1')).length, expected);
    await keepHistory(handle, 'producer-breaker');
  });

  it('are held while PostgreSQL is down, stored when it is back, and retried automatically', async () => {
    await rename('dead_letters', 'away');
    const letter = held('source-2', FAILURES.transient);
    try {
      await add(letter);
      await add(letter);
      await waitFor(async () => (await there.held('source-2')).unrecorded === 1, { what: 'one batch held' });
    } finally {
      await rename('away', 'dead_letters');
    }
    await waitFor(async () => (await there.held('source-2')).retrying === 1, { what: 'its record' });
    assert.deepEqual(
      (await there.letters('source-2')).map(({ state }) => state),
      ['waiting'],
    );
    const { from_at, tick_at } = letter.batch;
    const unheard = async () =>
      (await spansWithin(sqlOf(there.orm), { from: 0, to: Date.now(), limit: 200 }))
        .filter(({ id }) => id === 'source-2')
        .map((span) => [span.reason, span.from_at, span.to_at]);
    assert.deepEqual(await unheard(), [['dead_letter', from_at, tick_at]]);
    const { workflowId } = there.deadLetters('source-2');
    // A person redrives before the scheduled retry.
    assert.deepEqual((await redrive('source-2', [letter.id])).redriven, [letter.id]);
    await there.deadLetters('source-2').result();
    assert.equal((await there.stored('source-2')).length, 20);
    assert.deepEqual(await unheard(), []);
    await keepHistory(there.client.workflow.getHandle(workflowId), 'dead-letter-redriven');
  });

  it('survive if somebody terminates their workflow while only it holds them', async () => {
    outage = finalRefusal;
    await rename('dead_letters', 'away');
    const handle = await there.start('source-7', simulated());
    try {
      await waitFor(async () => (await there.held('source-7')).unrecorded >= 3, {
        what: 'three held batches',
      });
      await there.deadLetters('source-7').terminate('in the Web UI');
    } finally {
      await rename('away', 'dead_letters');
    }
    const sequences = async () =>
      (await there.letters('source-7')).map(
        ({ content }) => (content as unknown as { batch: Batch }).batch.first_sequence,
      );
    // Rows come in any order.
    await waitFor(async () => (await sequences()).length >= 3 && (await sequences()).includes(0), {
      what: 'their rows, and that of the first',
    });
    outage = null;
    await there.stop(handle);
  });

  it('are stored by a workflow that was cancelled', async () => {
    await rename('dead_letters', 'away');
    const letter = held('source-8', FAILURES.transient);
    try {
      await add(letter);
      await there.deadLetters('source-8').cancel();
    } finally {
      await rename('away', 'dead_letters');
    }
    await there.deadLetters('source-8').result();
    assert.deepEqual(
      (await there.letters('source-8')).map(({ id }) => id),
      [letter.id],
    );
  });

  it('count as redriven if they were discarded while their events were being stored', async () => {
    const letter = held('source-6', FAILURES.refused);
    await add(letter);
    await there.deadLetters('source-6').result();
    let discarded: unknown;
    meanwhile = async () => {
      discarded = await discard('source-6', [letter.id]);
    };
    assert.deepEqual(await redrive('source-6', [letter.id]), { redriven: [letter.id], failed: [] });
    assert.deepEqual(discarded, { discarded: [letter.id] });
    assert.equal((await there.stored('source-6')).length, 20);
    assert.equal((await there.letters('source-6'))[0]!.state, 'redriven');
    assert.deepEqual(await discard('source-6', [letter.id]), { discarded: [] });
  });

  it('are refused beyond those that the workflow can hold, with the reason', async () => {
    await rename('dead_letters', 'away');
    try {
      const now = Date.now();
      await add(held('source-3', FAILURES.refused, now));
      // A workflow accepts ten updates at a time.
      for (let i = 0; i < 200; i += 5) {
        await Promise.all([0, 1, 2, 3, 4].map((j) => add(held('source-3', FAILURES.refused, now + i + j))));
      }
      await add(held('source-3', FAILURES.refused, now));
      await assert.rejects(add(held('source-3', FAILURES.refused, now + 200)), (error: Error) =>
        /200 batches wait/.test((error.cause as Error).message),
      );
    } finally {
      await rename('away', 'dead_letters');
    }
    await there.deadLetters('source-3').result();
    assert.equal((await there.letters('source-3')).length, 200);
  });

  it('keep single invalid events with field and reason, each once, and store them if they become valid', async () => {
    const severity = 'x'.repeat(33);
    const handle = await there.start('source-4', simulated({ severities: [severity] }));
    const rows = await waitFor(
      async () => {
        const found = await there.letters('source-4');
        return found.length >= 5 ? found : null;
      },
      { what: 'refused events' },
    );
    await there.stop(handle);
    assert.equal(rows[0]!.kind, 'event');
    assert.equal(rows[0]!.field, 'severity');
    assert.match(rows[0]!.reason, /32/);
    const { failed } = await redrive('source-4', [rows[0]!.id, randomUUID()]);
    assert.deepEqual(failed, [rows[0]!.id]);
    await sql`update dead_letters set content = jsonb_set(content, '{severity}', '"high"')
      where id = ${rows[0]!.id}`.execute(sqlOf(there.orm));
    assert.deepEqual((await redrive('source-4', [rows[0]!.id])).redriven, [rows[0]!.id]);
    assert.equal((await there.stored('source-4')).length, 1);
  });

  it('are not made for transient failures: a batch waits for the store, however long it is down', async () => {
    let tries = 0;
    outage = () => {
      tries += 1;
      return new StoreUnavailable(`away ${tries}`);
    };
    const handle = await there.start('source-5', simulated());
    await waitFor(() => tries >= 3, { what: 'three tries' });
    outage = null;
    await there.storedCount('source-5', 8);
    await there.stop(handle);
    assert.deepEqual(await there.letters('source-5'), []);
    const events = await there.stored('source-5');
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, i) => i),
    );
  });
});
