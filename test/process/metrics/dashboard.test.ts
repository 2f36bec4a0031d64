import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Receiver, receiver } from '../../incidents/channels/receiver.ts';
import { rowsOf } from '../../support/markdown.ts';
import { type Role, spawnRole } from '../../support/processes.ts';
import { type Sample, samplesOf } from '../../support/samples.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';

const root = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** Metrics of Tocsin, and metrics of the process that the dashboard uses. */
const NAMED = /\b(?:tocsin|process|nodejs)_[a-z0-9_]+/g;

type Panel = {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; datasource: { uid: string } }[];
};
const dashboard = JSON.parse(read('deploy/grafana/tocsin.json')) as {
  uid: string;
  title: string;
  schemaVersion: number;
  templating: { list: { name: string }[] };
  panels: Panel[];
};
/**
 * Queries about the SDK have their own test with a worker that has all of these metrics:
 * test/workers/sdk-metrics.test.ts.
 */
const isOurs = (expr: string) => !/\btemporal_/.test(expr);
const queries = dashboard.panels
  .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  .filter(isOurs);
const alerts = (
  parse(read('deploy/prometheus/tocsin-alerts.yml')) as {
    groups: { rules: { alert: string; expr: string }[] }[];
  }
).groups
  .flatMap(({ rules }) => rules)
  .filter(({ expr }) => isOurs(expr));

/** The metric names in a query, without the suffixes of histograms. */
const namesIn = (expr: string, histograms: ReadonlySet<string>) =>
  [...expr.matchAll(NAMED)].map(([name]) => {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    return histograms.has(base) ? base : name;
  });

describe('metrics of real processes', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let hook: Receiver;
  let roles: Role[] = [];
  /** The type of each metric. */
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  let api = '';

  const post = async (path: string, body: unknown) => {
    const response = await fetch(api + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as { id: string } };
  };
  const scrape = async (url: string) => {
    const response = await fetch(url);
    assert.equal(response.status, 200);
    return response.text();
  };

  before(async function () {
    this.timeout(180_000);
    database = await freshDatabase();
    hook = await receiver();
    const env = {
      DATABASE_URL: database.url,
      TEMPORAL_ADDRESS: await temporalAddress(),
      TEMPORAL_NAMESPACE: await freshNamespace(),
      CHANNELS: JSON.stringify([{ kind: 'webhook', name: 'ops', url: hook.url }]),
      ...{
        HOST: '127.0.0.1',
        PORT: '0',
        METRICS_PORT: '0',
        LOG_LEVEL: 'info',
        CHANNELS_FILE: '',
        DISK_PATH: '',
      },
    };
    roles = [await spawnRole('api/main.ts', [], env), await spawnRole('workers/main.ts', ['all'], env)];
    const [server, worker] = roles as [Role, Role];
    const urlIn = (role: Role, pattern: RegExp) =>
      waitFor(() => pattern.exec(role.output())?.[1], { what: `${pattern} in its log`, timeoutMs: 120_000 });
    api = await urlIn(server, /listening on (http:\/\/[\d.:]+)/);
    const metrics = await urlIn(worker, /metrics on (http:[^"]+)/);

    const rule = { name: 'spikes', threshold_count: 2, window_seconds: 60, event_type: 'cpu_spike' };
    const made = await post('/alerts', rule);
    assert.equal(made.status, 201);
    await waitFor(
      async () => ((await (await fetch(`${api}/alerts/${made.body.id}`)).json()) as { ready: boolean }).ready,
      { what: 'the rule to be ready', timeoutMs: 90_000 },
    );
    const event = { source_id: 'source-1', severity: 'high', event_type: 'cpu_spike' };
    await post('/events', [event, event, { ...event, severity: '' }]);
    await post('/events', 'nonsense');
    await waitFor(() => hook.received.length > 0, { what: 'a notice', timeoutMs: 90_000 });
    await waitFor(
      async () => {
        const texts = [await scrape(`${api}/metrics`), await scrape(metrics)];
        samples.splice(0, samples.length, ...texts.flatMap(samplesOf));
        for (const text of texts) {
          for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) types.set(name!, type!);
        }
        const seen = new Set(samples.map(({ name }) => name));
        return ['tocsin_deliveries_total', 'tocsin_watermark_lag_seconds', 'tocsin_disk_free_bytes'].every(
          (name) => seen.has(name),
        );
      },
      { what: 'everything to be measured', timeoutMs: 90_000 },
    );
  });
  after(async () => {
    for (const role of roles) role.kill('SIGTERM');
    await Promise.all(roles.map(({ exited }) => exited));
    await hook?.close();
    await database?.drop();
  });

  const histograms = () =>
    new Set([...types].flatMap(([name, type]) => (type === 'histogram' ? [name] : [])));
  const ours = () => [...types.keys()].filter((name) => name.startsWith('tocsin_'));

  /** The metrics in the documentation, with the text about their labels. */
  const documented = () =>
    rowsOf(read('docs/operating.md')).flatMap(({ first, by }) => {
      const [, name] = /^`(tocsin_\w+)`$/.exec(first) ?? [];
      return name && by.What ? [{ name, labels: by.Labels ?? '' }] : [];
    });

  it('are exactly those that the documentation lists', () => {
    const names = documented().map(({ name }) => name);
    assert.deepEqual(names.toSorted(), ours().toSorted());
  });

  it('have the labels in the documentation', () => {
    assert.ok(documented().length > 20);
    for (const { name, labels: described } of documented()) {
      const labels = new Set([...described.matchAll(/`(\w+)`/g)].map(([, label]) => label));
      const found = new Set(
        samples
          .filter(
            (sample) => sample.name.replace(/_(bucket|sum|count)$/, '') === name || sample.name === name,
          )
          .flatMap((sample) => Object.keys(sample.labels)),
      );
      found.delete('le');
      assert.deepEqual([...found].sort(), [...labels].sort(), name);
    }
  });

  it('follow Prometheus’ conventions for names', () => {
    for (const [name, type] of types) {
      if (!name.startsWith('tocsin_')) continue;
      assert.equal(type === 'counter', name.endsWith('_total'), name);
      assert.doesNotMatch(name, /milli|_ms\b|kilo|percent/, name);
    }
  });

  it('count what happened: events, an evaluation, an incident, a delivery', () => {
    const sum = (name: string, labels: Record<string, string> = {}) =>
      samples
        .filter(
          (sample) =>
            sample.name === name &&
            Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
        )
        .reduce((total, { value }) => total + value, 0);
    assert.equal(sum('tocsin_events_total', { outcome: 'stored', via: 'http' }), 2);
    assert.equal(sum('tocsin_events_total', { outcome: 'invalid', via: 'http' }), 2);
    assert.equal(sum('tocsin_rejections_total', { reason: 'invalid_severity' }), 1);
    assert.ok(sum('tocsin_rule_evaluations_total', { result: 'judged' }) > 0);
    assert.ok(
      sum('tocsin_activity_duration_seconds_count', { activity: 'evaluateRule', result: 'completed' }) > 0,
    );
    assert.ok(sum('tocsin_wake_duration_seconds_count') > 0);
    assert.equal(sum('tocsin_deliveries_total', { channel: 'ops', outcome: 'sent' }), 1);
    assert.equal(sum('tocsin_processes', { role: 'notify' }), 1);
    assert.equal(sum('tocsin_up'), 2);
  });

  it('include every name and label that the dashboard and the alerts use', () => {
    const labelsOf = (name: string) =>
      new Set(
        samples.filter((sample) => sample.name === name).flatMap((sample) => Object.keys(sample.labels)),
      );
    for (const expr of [...queries, ...alerts.map(({ expr }) => expr)]) {
      for (const name of namesIn(expr, histograms())) assert.ok(types.has(name), `${name} in ${expr}`);
      for (const [, name, selector = ''] of expr.matchAll(/\b((?:tocsin|nodejs|process)_\w+)\{([^}]*)\}/g)) {
        for (const [, label] of selector.matchAll(/(\w+)(?:=~|!~|!=|=)/g)) {
          if (label === 'job' || label === 'instance') continue;
          assert.ok(labelsOf(name!).has(label!), `${name} has no label ${label}: ${expr}`);
        }
      }
      const [metric] = /\b(?:tocsin|nodejs|process)_\w+/.exec(expr)!;
      for (const [, by = ''] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
        for (const label of by.split(',').map((text) => text.trim())) {
          if (label === 'instance') continue;
          assert.ok(labelsOf(metric).has(label), `${metric} has no label ${label}: ${expr}`);
        }
      }
    }
  });

  it('are all on the dashboard', () => {
    const shown = new Set(queries.flatMap((expr) => namesIn(expr, histograms())));
    assert.deepEqual(
      ours().filter((name) => !shown.has(name)),
      [],
    );
  });
});

describe('the dashboard', () => {
  it('can be imported by Grafana: it has its own ids, no overlapping panels, and a data source to choose', () => {
    assert.ok(dashboard.uid && dashboard.title && dashboard.schemaVersion >= 36);
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(
      dashboard.templating.list.map(({ name }) => name),
      ['datasource', 'job'],
    );
    const taken = new Set<string>();
    for (const { title, gridPos, targets = [] } of dashboard.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} lies on another panel`);
          taken.add(`${x} ${y}`);
        }
      }
      for (const { datasource } of targets) assert.match(datasource.uid, /^\$\{datasource\}$/, title);
    }
  });
});
