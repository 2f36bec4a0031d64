import assert from 'node:assert/strict';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { searchAttributes } from '../../../temporal-config/register.ts';
import { addDeadLetter, type HeldBatch, incidentChanged } from '../../../workflows/messages.ts';
import { QUEUES } from '../../../workflows/queues.ts';
import {
  deadLetterWorkflow,
  HOUSEKEEPING,
  incidentWorkflow,
  producerWorkflow,
  ruleWorkflow,
  type Startable,
} from '../../../workflows/startable.ts';
import { simulated } from '../../producers/settings.ts';
import { workflowsOf } from '../../support/releases.ts';
import { freshNamespace, temporalAddress } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';
import { changes, seen, told } from './shown.ts';

const installation = { api: 'https://tocsin.test', attributes: Object.keys(searchAttributes) };
const outline = {
  ...{ rule_id: 'rule-1', rule_name: 'Renamed', severity: 'low', state: 'acknowledged' as const },
  ...{ summary: 'It is on fire', since: '2026-01-01T00:00:00.000Z', opened_at: '2026-01-01T00:00:00.000Z' },
  ...{ acknowledged_by: 'ann', resolved_at: null, resolved_by: null, resolve_reason: null },
};
let busy = true;

/** Activities that only answer, and let runs grow. All names have changed since the start. */
const answers = {
  evaluateRule: async ({ shown }: { shown?: string }) => ({
    ...{ gone: false, backfill: null, more: busy, name: 'Renamed', revision: 2, firing: 1, pending: 0 },
    ...(shown === 'mark'
      ? {}
      : {
          about: {
            rule: { name: 'Renamed', severity: 'low', enabled: true, fires_when: 'it must' },
            ...{ installation, mark: 'mark' },
          },
        }),
  }),
  producerRow: async () => ({ settings: simulated({ tick_ms: 50 }), paused: false, installation }),
  emitBatch: async () => ({ stored: 10, duplicates: 0, refused: 0 }),
  loadIncident: async () => ({
    outline,
    ...{ notices: [], channels: ['ops'], schedule_ms: [3_600_000], installation },
  }),
  recordDeadLetters: async () => undefined,
  redriveBatches: async ({ ids }: { ids: string[] }) => ({ redriven: [], failed: ids }),
  keepPartitions: async () => ({ made: 0, dropped: 0 }),
  reconcile: async () => ({ rules: 0, producers: 0, incidents: 0, dead_letters: 0 }),
};

const many = (times: number, work: (nth: number) => Promise<unknown>) =>
  Promise.all(Array.from({ length: times }, (_, nth) => work(nth)));

/** The server's hint also comes by size: 4 MB need fewer messages than 4,096 events. */
const LONG = `no room ${'-'.repeat(40_000)}`;

const letter = (nth: number): HeldBatch => ({
  batch: {
    ...{ source_id: 'source-1', first_sequence: nth, from_at: 0, tick_at: 1000 * nth, appended_through: 0 },
    settings: simulated(),
  },
  ...{
    id: `letter-${nth}`,
    failure: nth === 0 ? 'transient' : 'refused',
    reason: LONG,
    failed_at: Date.now(),
  },
});

describe('a workflow that continued as new', () => {
  let connection: Connection;
  let native: NativeConnection;
  let client: Client;
  let workers: Worker[];
  let ended: Promise<unknown>;
  before(async () => {
    const [address, namespace] = [await temporalAddress(), await freshNamespace()];
    connection = await Connection.connect({ address });
    native = await NativeConnection.connect({ address });
    client = new Client({ connection, namespace, identity: 'test' });
    const workflowBundle = await workflowsOf('today');
    workers = await Promise.all(
      [QUEUES.ingest, QUEUES.producers, QUEUES.rules, QUEUES.incidents].map((taskQueue) =>
        Worker.create({ connection: native, namespace, taskQueue, workflowBundle, activities: answers }),
      ),
    );
    ended = Promise.all(workers.map((worker) => worker.run()));
  });
  after(async () => {
    for (const worker of workers) worker.shutdown();
    await ended;
    await native.close();
    await connection.close();
  });

  /** Starts a workflow as its callers do, and signals its first run until another run has followed. */
  async function continued(
    { type, ...options }: Startable,
    poke: (first: WorkflowHandle, nth: number) => Promise<unknown> = async () => {},
  ): Promise<WorkflowHandle> {
    const started = await client.workflow.start(type, options);
    const first = client.workflow.getHandle(options.workflowId, started.firstExecutionRunId);
    let nth = 0;
    await waitFor(
      async () => {
        const { status } = await first.describe();
        if (status.name === 'CONTINUED_AS_NEW') return true;
        await poke(first, nth++);
        return false;
      },
      { what: `${options.workflowId} to continue as new`, timeoutMs: 150_000 },
    );
    busy = false;
    const latest = client.workflow.getHandle(options.workflowId);
    await waitFor(async () => (await told(latest)) !== '', { what: 'the next run to say what it does' });
    return client.workflow.getHandle(options.workflowId, (await latest.describe()).runId);
  }

  it('shows its rule as the run before did, and says so in its details', async function () {
    this.timeout(180_000);
    const handle = await continued(
      ruleWorkflow('rule-1', { name: 'Before', severity: 'high', enabled: true }),
    );
    const { memo, attributes, summary } = await seen(handle);
    assert.deepEqual(memo, {
      rule: 'Renamed',
      severity: 'low',
      state: 'firing',
      api: 'https://tocsin.test/alerts/rule-1',
    });
    assert.deepEqual(attributes, { RuleId: 'rule-1', RuleName: 'Renamed', Severity: 'low', State: 'firing' });
    assert.equal(summary, undefined, 'Temporal has no way to take a static summary along');
    assert.match(await told(handle), /^\*\*Rule `Renamed`, `low`\*\*/);
    assert.equal(await changes(handle), 0, 'nothing had to be said again');
  });

  it('shows its incident', async function () {
    this.timeout(180_000);
    const before = { ...outline, rule_name: 'Before', state: 'open' as const };
    const handle = await continued(incidentWorkflow('incident-1', before), async (first, nth) => {
      // Only as many signals as needed, because a run cannot end while signals come in.
      if (nth < 20) await many(50, () => first.signal(incidentChanged));
    });
    const { memo, attributes } = await seen(handle);
    assert.deepEqual(memo, {
      ...{ rule: 'Renamed', severity: 'low', state: 'acknowledged', summary: 'It is on fire' },
      api: 'https://tocsin.test/incidents/incident-1',
    });
    assert.deepEqual(attributes, {
      ...{ RuleId: 'rule-1', RuleName: 'Renamed', Severity: 'low' },
      ...{ State: 'acknowledged', IncidentState: 'acknowledged' },
    });
    assert.match(await told(handle), /^\*\*Incident of rule `Renamed`, `low`: `It is on fire`\*\*/);
    assert.equal(await changes(handle), 0);
  });

  it('shows its producer', async function () {
    this.timeout(180_000);
    const handle = await continued(
      producerWorkflow({
        source_id: 'source-1',
        settings: simulated({ tick_ms: 240 }),
        resume: {
          ...{ next_sequence: 0, emitted: 0, dead_lettered: 0, last_error: null },
          covered_to: Date.now() - 59_000,
          breaker: { failures: 0, opened: 0, retry_at: null },
        },
      }),
    );
    const { memo, attributes } = await seen(handle);
    const api = 'https://tocsin.test/producers/source-1';
    assert.deepEqual(memo, { source: 'source-1', state: 'running', api });
    assert.deepEqual(attributes, { SourceId: 'source-1', State: 'running' });
    assert.match(await told(handle), /^\*\*Producer `source-1`, simulated\*\*/);
    assert.equal(await changes(handle), 0);
  });

  it('shows the dead letters of its source, and why the last one failed', async function () {
    this.timeout(180_000);
    const retrying = [{ id: 'kept', retries: 0, next_at: Date.now() + 3_600_000 }];
    const handle = await continued(deadLetterWorkflow('source-1', retrying), (first, nth) =>
      many(8, (one) => first.executeUpdate(addDeadLetter, { args: [letter(nth * 8 + one)] })).catch(() => {}),
    );
    const { memo, attributes } = await waitFor(
      async () => {
        const all = await seen(handle);
        return all.memo.state === 'retrying' ? all : null;
      },
      { what: 'all to be on record' },
    );
    assert.deepEqual(memo, {
      source: 'source-1',
      state: 'retrying',
      api: '/dead-letters?source_id=source-1',
    });
    assert.deepEqual(attributes, { SourceId: 'source-1', State: 'retrying' });
    assert.match(
      await told(handle),
      /^\*\*Dead letters of source `source-1`\*\*[\s\S]*Last failure: `no room -+…`/,
    );
  });

  it('shows housekeeping', async function () {
    this.timeout(180_000);
    const handle = await continued(HOUSEKEEPING, (first) => first.signal('tidyNow'));
    assert.deepEqual((await seen(handle)).memo, { api: '/status' });
    assert.match(await told(handle), /^\*\*Housekeeping\*\*\n\nNext round at /);
  });
});
