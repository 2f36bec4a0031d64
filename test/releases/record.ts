import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Batch, HeldBatch } from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { simulated } from '../producers/settings.ts';
import { isKept, keepHistory, recording } from '../support/histories.ts';
import { lastRelease, workflowsOf } from '../support/releases.ts';
import {
  freshNamespace,
  mochaGlobalSetup,
  mochaGlobalTeardown,
  temporalAddress,
} from '../support/servers.ts';
import { waitFor } from '../support/wait-for.ts';

/**
 * Records each workflow of the last release through the limit at which it continues as new, by the code that was kept
 * of it, with activities that only answer: part of `npm run release:keep`. What is recorded already stays.
 */
async function record(release: string): Promise<void> {
  const [address, namespace] = [await temporalAddress(), await freshNamespace()];
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace, identity: 'test' });
  const workflowBundle = await workflowsOf(release);
  const workers = await Promise.all(
    Object.values(QUEUES).map((taskQueue) =>
      Worker.create({ connection: native, namespace, taskQueue, workflowBundle, activities: answers() }),
    ),
  );
  const ended = Promise.all(workers.map((worker) => worker.run()));
  for (const run of runs.filter(({ name }) => !isKept(`full-${name}`, release))) {
    const handle = await client.workflow.start(run.type, {
      workflowId: run.name,
      taskQueue: QUEUES.rules,
      args: [run.input()],
    });
    const first = client.workflow.getHandle(run.name, handle.firstExecutionRunId);
    await throughItsLimit(first, run.poke);
    await keepHistory(first, `full-${run.name}`, release);
    await client.workflow.getHandle(run.name).terminate('recorded');
    const { historyLength } = await first.describe();
    process.stdout.write(`${run.name}: ${historyLength} events\n`);
  }
  for (const worker of workers) worker.shutdown();
  await ended;
  await native.close();
  await connection.close();
}

type Poke = (handle: WorkflowHandle, nth: number) => Promise<unknown>;

/** Pokes a run until it has continued as new. */
async function throughItsLimit(handle: WorkflowHandle, poke?: Poke): Promise<void> {
  let over = false;
  const poking = (async () => {
    for (let nth = 0; poke && !over; nth += 1) await poke(handle, nth);
  })().catch((error: unknown) => {
    // The last poke fails because the run has ended. That is expected.
    process.stderr.write(`${handle.workflowId}: ${(error as Error).message}\n`);
  });
  await waitFor(async () => (await handle.describe()).status.name === 'CONTINUED_AS_NEW', {
    what: `${handle.workflowId} to continue as new`,
    timeoutMs: 180_000,
    everyMs: 200,
  });
  over = true;
  await poking;
}

interface Run {
  name: string;
  type: string;
  input: () => unknown;
  poke?: Poke;
}

/** One for each workflow and each limit that it may meet first. A new workflow gets a line here. */
const runs: Run[] = [
  { name: 'alert-rule-evaluations', type: 'alertRule', input: () => ({ rule_id: 'busy' }) },
  {
    name: 'alert-rule-signals',
    type: 'alertRule',
    input: () => ({ rule_id: 'quiet' }),
    poke: async (handle) => {
      await many(50, () => handle.signal('wake'));
      await handle.query('state');
    },
  },
  {
    name: 'producer',
    type: 'producer',
    input: () => ({
      source_id: 'behind',
      settings: simulated({ tick_ms: 240 }),
      resume: {
        ...{ next_sequence: 0, emitted: 0, dead_lettered: 0, last_error: null },
        covered_to: Date.now() - 59_000,
        breaker: { failures: 0, opened: 0, retry_at: null },
      },
    }),
  },
  {
    name: 'housekeeping',
    type: 'housekeeping',
    input: () => undefined,
    poke: (handle) => handle.signal('tidyNow'),
  },
  {
    name: 'incident',
    type: 'incident',
    input: () => ({ incident_id: 'told-often' }),
    poke: async (handle) => {
      await many(20, () => handle.signal('changed'));
      await handle.query('status');
    },
  },
  {
    name: 'dead-letter',
    type: 'deadLetter',
    input: () => ({
      source_id: 'failing',
      resume: { unrecorded: [], retrying: [{ id: 'letter', retries: 0, next_at: Date.now() + 3_600_000 }] },
    }),
    // As many as a workflow takes at once, and more than it can record at once.
    poke: (handle, nth) => many(8, (one) => handle.executeUpdate('add', { args: [letter(nth * 8 + one)] })),
  },
];

const many = (times: number, work: () => Promise<unknown>) =>
  Promise.all(Array.from({ length: times }, work));

function letter(nth: number): HeldBatch {
  const settings = simulated();
  const tick_at = 1_700_000_000_000 + nth * 200;
  const batch: Batch = {
    ...{ source_id: 'failing', first_sequence: nth, from_at: tick_at - 200, tick_at, settings },
    appended_through: tick_at - 200,
  };
  const failure = nth % 10 === 0 ? 'transient' : 'refused';
  return { id: `letter-${nth}`, batch, failure, reason: 'no room', failed_at: tick_at };
}

/** Activities that do nothing, by the names of the product's. */
function answers() {
  return {
    evaluateRule: async ({ rule_id }: { rule_id: string }) => ({
      ...{ gone: false, backfill: null, more: rule_id === 'busy', name: rule_id, revision: 1 },
      ...{ firing: 0, pending: 0 },
    }),
    backfillRule: async () => undefined,
    producerRow: async () => ({ settings: simulated({ tick_ms: 50 }), paused: false }),
    emitBatch: async () => ({ stored: 10, duplicates: 0, refused: 0 }),
    deadLetterBatch: async () => undefined,
    recordDeadLetters: async () => undefined,
    redriveBatches: async ({ ids }: { ids: string[] }) => ({ redriven: [], failed: ids }),
    discardBatches: async ({ ids }: { ids: string[] }) => ({ discarded: ids }),
    keepPartitions: async () => ({ made: 0, dropped: 0 }),
    reconcile: async () => ({ rules: 0, producers: 0, incidents: 0 }),
    loadIncident: async () => ({
      outline: {
        ...{ rule_id: 'rule', rule_name: 'Rule', severity: 'high', state: 'open', summary: 'Rule triggered' },
        ...{ since: '2026-01-01T00:00:00.000Z', opened_at: '2026-01-01T00:00:00.000Z' },
        ...{ acknowledged_by: null, resolved_at: null, resolved_by: null, resolve_reason: null },
      },
      notices: [{ id: 'notice', kind: 'opened', at: 1_700_000_000_000, progress: [] }],
      ...{ channels: ['ops'], schedule_ms: [3_600_000, 7_200_000] },
    }),
    deliver: async () => ({ outcome: 'retry', detail: '503' }),
    settleDelivery: async () => undefined,
    finishNotice: async () => undefined,
    notifiedNobody: async () => undefined,
  };
}

if (!recording) throw new Error('set RECORD_HISTORIES=1: npm run release:keep does');
await mochaGlobalSetup();
try {
  await record(lastRelease);
} finally {
  await mochaGlobalTeardown();
}
