import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { readSdkMetrics } from '../../workers/sdk-metrics.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { simulated } from '../producers/settings.ts';
import { type Role, spawnRole } from '../support/processes.ts';
import { type Sample, sampled, samplesOf } from '../support/samples.ts';
import { sdkLogger } from '../support/sdk-log.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../support/servers.ts';
import { waitFor } from '../support/wait-for.ts';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const hasPromtool = () => !spawnSync('promtool', ['--version'], { stdio: 'ignore' }).error;

/** All queries about the SDK, in alerts and the dashboard. */
const queries = [
  ...(
    parse(read('deploy/prometheus/tocsin-alerts.yml')) as { groups: { rules: { expr: string }[] }[] }
  ).groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
  ...(
    JSON.parse(read('deploy/grafana/tocsin.json')) as { panels: { targets?: { expr: string }[] }[] }
  ).panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
].filter((expr) => /\btemporal_/.test(expr));

describe('the metrics of the SDK in a scrape', () => {
  let exporter: Server;
  let url: string;
  let answer: (response: ServerResponse) => void;
  let warnings: string[];
  const registry = new Registry();
  const log = pino({}, { write: (line: string) => void warnings.push(line) });
  let metrics: () => Promise<string>;
  const up = async () => sampled(samplesOf(await registry.metrics()), 'tocsin_sdk_metrics_up');

  before(async () => {
    exporter = createServer((_request, response) => answer(response));
    await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(exporter.address() as AddressInfo).port}/metrics`;
    metrics = readSdkMetrics({ url }, { registry, log, patienceMs: 200 });
  });
  beforeEach(() => {
    warnings = [];
    answer = (response) => response.end('temporal_num_pollers 1\n');
  });
  after(() => {
    exporter.closeAllConnections();
    exporter.close();
  });

  it('are included while the exporter answers', async () => {
    assert.deepEqual([await metrics(), await up()], ['temporal_num_pollers 1\n', 1]);
  });

  for (const [what, badly] of [
    ['fails', (response: ServerResponse) => response.writeHead(500).end('no')],
    ['never answers', () => {}],
    ['stops in the middle', (response: ServerResponse) => response.writeHead(200).write('temporal_')],
    ['breaks off', (response: ServerResponse) => response.destroy()],
  ] as const) {
    it(`are left out while the exporter ${what}, with one warning, and then come back`, async () => {
      answer = badly;
      for (let i = 0; i < 3; i++) assert.deepEqual([await metrics(), await up()], ['', 0]);
      assert.equal(warnings.length, 1);
      answer = (response) => response.end('temporal_num_pollers 2\n');
      assert.deepEqual([await metrics(), await up()], ['temporal_num_pollers 2\n', 1]);
    });
  }

  it('are left out if the exporter could not be started, with the reason in the log', async () => {
    const own = new Registry();
    const none = readSdkMetrics({ failure: 'Address already in use' }, { registry: own, log });
    assert.equal(await none(), '');
    assert.equal(sampled(samplesOf(await own.metrics()), 'tocsin_sdk_metrics_up'), 0);
    assert.match(warnings.join(), /Address already in use/);
  });
});

describe('the SDK of a process whose chosen ports are taken', () => {
  /** The exporter of a new process, if its first `taken` choices of a port are taken. */
  const exporterAfter = (taken: number): { url?: string; failure?: string } => {
    const code = `
      import { createServer } from 'node:net';
      import { once } from 'node:events';
      import { pino } from 'pino';
      import { installRuntime } from './workers/runtime.ts';
      import { freePort } from './process/free-port.ts';
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      let choices = 0;
      const port = async () => (choices++ < ${taken} ? other.address().port : freePort());
      const exporter = await installRuntime(pino({ level: 'silent' }), { measured: true, port });
      if (exporter.url) await fetch(exporter.url);
      process.stdout.write(JSON.stringify(exporter), () => process.exit());`;
    const args = ['--input-type=module', '--eval', code];
    return JSON.parse(execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' }));
  };

  it('tries another port', () => {
    assert.match(exporterAfter(2).url ?? '', /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  });

  it('works without an exporter after several attempts, and knows the reason', () => {
    assert.match(exporterAfter(Number.MAX_SAFE_INTEGER).failure ?? '', /in use/);
  });
});

describe('a worker process whose code does not fit the history of a workflow', () => {
  let role: Role;
  let drop: () => Promise<void>;
  let connection: Connection;
  let text = '';
  let samples: Sample[] = [];
  const failed = { workflow_type: 'deadLetter', failure_reason: 'NonDeterminismError' };
  const failures = () =>
    samples
      .filter(
        ({ name, labels }) => name === 'temporal_workflow_task_execution_failed_total' && matches(labels),
      )
      .reduce((sum, { value }) => sum + value, 0);
  const matches = (labels: Record<string, string>) =>
    Object.entries(failed).every(([label, value]) => labels[label] === value);

  before(async function () {
    this.timeout(180_000);
    const address = await temporalAddress();
    const [database, namespace] = await Promise.all([freshDatabase(), freshNamespace()]);
    drop = database.drop;
    connection = await Connection.connect({ address });
    const client = new Client({ connection, namespace });
    const handle = await beginElsewhere(client, address);
    role = await spawnRole('workers/main.ts', ['ingest'], {
      DATABASE_URL: database.url,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      METRICS_PORT: '0',
      LOG_LEVEL: 'info',
    });
    const url = await waitFor(() => /metrics on (http:[^"]+)/.exec(role.output())?.[1], {
      ...{ what: 'the worker to be ready', timeoutMs: 120_000 },
    });
    // A producer without a row reads that by an activity, and ends.
    await client.workflow.execute('producer', {
      taskQueue: QUEUES.producers,
      workflowId: 'producer/none',
      args: [{ source_id: 'none', settings: simulated() }],
    });
    await handle.signal('anything');
    await waitFor(
      async () => {
        const response = await fetch(url);
        assert.equal(response.status, 200);
        text = await response.text();
        samples = samplesOf(text);
        // The failed task evicts the workflow from the cache, a moment later.
        const evicted = 'temporal_sticky_cache_total_forced_eviction_total';
        return failures() > 0 && samples.some(({ name }) => name === evicted);
      },
      { what: 'the failure to be counted', timeoutMs: 60_000, everyMs: 250 },
    );
  });
  after(async () => {
    role?.kill();
    await role?.exited;
    await connection?.close();
    await drop?.();
  });

  /** Starts a workflow with other code under the same name, and leaves it in the middle. */
  async function beginElsewhere(client: Client, address: string) {
    const native = await NativeConnection.connect({ address });
    const { code } = await bundleWorkflowCode({
      workflowsPath: join(import.meta.dirname, 'other-workflows.ts'),
      logger: sdkLogger,
    });
    const worker = await Worker.create({
      connection: native,
      namespace: client.options.namespace,
      taskQueue: QUEUES.producers,
      workflowBundle: { code },
    });
    const handle = await worker.runUntil(async () => {
      const started = await client.workflow.start('deadLetter', {
        taskQueue: QUEUES.producers,
        workflowId: 'begun-by-other-code',
        args: [{ source_id: 'source-1' }],
      });
      await waitFor(
        async () => (await started.fetchHistory()).events?.some((event) => event.timerStartedEventAttributes),
        { what: 'its timer' },
      );
      return started;
    });
    await native.close();
    return handle;
  }

  it('counts the failed workflow tasks at /metrics, among its own metrics', () => {
    assert.ok(failures() >= 1);
    assert.equal(sampled(samples, 'tocsin_sdk_metrics_up'), 1);
    assert.ok(samples.some(({ name }) => name === 'process_cpu_seconds_total'));
  });

  it('has each metric once, with labels whose values are names in our code', () => {
    const families = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);
    assert.deepEqual(families.toSorted(), [...new Set(families)].toSorted());
    const labels = new Set(
      samples
        .filter(({ name }) => name.startsWith('temporal_'))
        .flatMap((sample) => Object.keys(sample.labels)),
    );
    const known = [
      ...['namespace', 'task_queue', 'workflow_type', 'activity_type', 'operation', 'failure_reason'],
      ...['poller_type', 'worker_type', 'eager', 'status_code', 'le'],
    ];
    assert.deepEqual(
      [...labels].filter((label) => !known.includes(label)),
      [],
    );
    const queues = new Set(samples.flatMap(({ labels }) => labels.task_queue ?? []));
    assert.deepEqual([...queues].sort(), [QUEUES.ingest, QUEUES.producers]);
    assert.ok(samples.length < 2000, `${samples.length} samples`);
  });

  it('answers in a form that Prometheus can parse', function () {
    if (!hasPromtool()) this.skip();
    // Exit code 3: it dislikes names of other metrics. Exit code 1: it cannot parse the metrics.
    const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text });
    assert.ok(status === 0 || status === 3, String(stderr));
  });

  it('has every metric and label of the SDK that alerts and the dashboard use', () => {
    assert.ok(queries.length >= 10);
    for (const expr of queries) {
      for (const [, name, selector = ''] of expr.matchAll(/\b(temporal_\w+)(?:\{([^}]*)\})?/g)) {
        const found = samples.filter((sample) => sample.name === name);
        assert.ok(found.length > 0, `${name} in ${expr}`);
        const labels = new Set([...found.flatMap((sample) => Object.keys(sample.labels)), 'job', 'instance']);
        const asked = [...selector.matchAll(/(\w+)(?:=~|!~|!=|=)/g)].map(([, label]) => label!);
        const by = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/, */));
        for (const label of [...asked, ...by])
          assert.ok(labels.has(label), `${name} has no ${label}: ${expr}`);
      }
    }
  });

  it('logs messages of Core and the SDK in our format only', () => {
    const lines = role
      .output()
      .split('\n')
      .filter(Boolean)
      .map(
        (line) =>
          JSON.parse(line) as {
            level: number;
            role: string;
            msg: string;
            temporal?: { sdkComponent: string };
            err?: { message: string };
          },
      );
    const core = lines.find(({ msg }) => msg === 'Failing workflow task');
    assert.deepEqual([core?.level, core?.role, core?.temporal?.sdkComponent], [40, 'ingest', 'core']);
    assert.ok(lines.some(({ level, temporal }) => level === 30 && temporal?.sdkComponent === 'worker'));
  });
});

describe('the alerts about the SDK', () => {
  it('fire when they should, and only then', function () {
    if (!hasPromtool()) this.skip();
    execFileSync('promtool', ['check', 'rules', join(root, 'deploy/prometheus/tocsin-alerts.yml')]);
    const { status, stdout, stderr } = spawnSync('promtool', [
      ...['test', 'rules', join(root, 'test/workers/alerts-of-the-sdk.yml')],
    ]);
    assert.equal(status, 0, `${stdout}${stderr}`);
  });
});
