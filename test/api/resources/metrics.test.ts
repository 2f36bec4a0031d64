import assert from 'node:assert/strict';
import pg from 'pg';
import { connect } from '../../../db/orm.ts';
import { ensurePartitions } from '../../../db/partitions.ts';
import { watchDisk } from '../../../process/metrics/disk.ts';
import { watchBuffer } from '../../../process/metrics/ingest.ts';
import { watchSystem } from '../../../process/metrics/system.ts';
import { type Sample, sampled, samplesOf } from '../../support/samples.ts';
import { freshDatabase } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Stage, stage } from '../stage.ts';

const event = (changes: object = {}) => ({
  ...{ source_id: 'source-1', severity: 'high', event_type: 'cpu_spike' },
  ...changes,
});

async function scrape(api: Stage): Promise<Sample[]> {
  const response = await fetch(`${api.url}/metrics`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  return samplesOf(await response.text());
}

describe('the metrics of the API', () => {
  let api: Stage;
  before(async () => {
    api = await stage({
      temporal: 'idle',
      change({ ingest, registry, orm, client, disk }) {
        watchBuffer(registry, ingest, 20_000);
        watchDisk(registry, disk);
        watchSystem(registry, { orm, client });
        return {};
      },
    });
    await ensurePartitions(api.orm, Date.now());
  });
  after(() => api.close());

  it('events are counted by outcome, and appends by duration and size', async () => {
    const before = await scrape(api);
    const repeated = event({ event_id: crypto.randomUUID(), timestamp: new Date().toISOString() });
    await api.post('/events', [event(), repeated, event()]);
    await api.post('/events', [repeated, event()]);
    const after = await scrape(api);
    const grown = (name: string, labels = {}) =>
      sampled(after, name, labels)! - (sampled(before, name, labels) ?? 0);
    assert.equal(grown('tocsin_events_total', { outcome: 'stored', via: 'http' }), 4);
    assert.equal(grown('tocsin_events_total', { outcome: 'duplicate', via: 'http' }), 1);
    assert.equal(grown('tocsin_append_events_sum'), 5);
    assert.equal(grown('tocsin_append_events_count'), 2);
    assert.equal(grown('tocsin_append_duration_seconds_count', { result: 'committed' }), 2);
    assert.ok(grown('tocsin_append_duration_seconds_sum', { result: 'committed' }) > 0);
    assert.equal(sampled(after, 'tocsin_buffer_events'), 0);
    assert.equal(sampled(after, 'tocsin_buffer_limit_events'), 20_000);
  });

  it('requests are counted by route and not by path, whatever is requested', async () => {
    for (let i = 0; i < 5; i++) {
      await fetch(`${api.url}/events/${crypto.randomUUID()}`);
      await fetch(`${api.url}/nothing/${i}`);
      await fetch(`${api.url}/events/source/source-${i}`);
    }
    await fetch(`${api.url}/health`, { method: 'PROPFIND' });
    const samples = await scrape(api);
    const name = 'tocsin_http_request_duration_seconds_count';
    const count = (route: string, status: string, method = 'GET') =>
      sampled(samples, name, { method, route, status });
    assert.equal(count('/events/{id}', '4xx'), 5);
    assert.equal(count('none', '4xx'), 5);
    assert.equal(count('/events/source/{source_id}', '2xx'), 5);
    assert.equal(count('none', '4xx', 'other'), 1);
    const routes = new Set(api.routes.map(({ path }) => path)).add('none');
    for (const { labels } of samples) if (labels.route) assert.ok(routes.has(labels.route), labels.route);
  });

  it('the metrics contain nothing that senders choose', async () => {
    await api.post('/events', [event({ source_id: 'a-source-of-theirs', event_type: 'a-type-of-theirs' })]);
    const text = JSON.stringify(await scrape(api));
    assert.doesNotMatch(text, /of-theirs/);
  });

  it('the metrics show the state of the system from PostgreSQL and Temporal', async () => {
    const samples = await scrape(api);
    assert.equal(sampled(samples, 'tocsin_up', { component: 'postgres' }), 1);
    assert.equal(sampled(samples, 'tocsin_up', { component: 'temporal' }), 1);
    assert.equal(sampled(samples, 'tocsin_incidents', { state: 'open' }), 0);
    assert.equal(sampled(samples, 'tocsin_dead_letters', { state: 'waiting' }), 0);
    assert.equal(sampled(samples, 'tocsin_task_queue_backlog', { queue: 'ingest', kind: 'activity' }), 0);
    assert.equal(sampled(samples, 'tocsin_partitions', { table: 'events' }), 5);
    const newest = sampled(samples, 'tocsin_partition_newest_timestamp_seconds', { table: 'events' })!;
    assert.ok(newest > Date.now() / 1000 && newest < Date.now() / 1000 + 4 * 86_400);
    assert.ok(sampled(samples, 'tocsin_database_bytes')! > 1_000_000);
    // The watermark has never been set, and the free space of the disk is unknown.
    for (const unknown of ['tocsin_watermark_lag_seconds', 'tocsin_disk_free_bytes']) {
      assert.equal(sampled(samples, unknown), undefined, unknown);
    }
  });
});

describe('a scrape', () => {
  it('a scrape is answered while PostgreSQL and Temporal are down, and says so', async () => {
    const away = await connect('postgresql://tocsin:secret@127.0.0.1:1/tocsin', 2);
    const api = await stage({
      change({ registry, client }) {
        watchSystem(registry, { orm: away, client });
        return {};
      },
    });
    try {
      const samples = await scrape(api);
      assert.equal(sampled(samples, 'tocsin_up', { component: 'postgres' }), 0);
      assert.equal(sampled(samples, 'tocsin_up', { component: 'temporal' }), 0);
      for (const { name } of samples) assert.doesNotMatch(name, /incidents|partition|backlog|database/);
      assert.ok(sampled(samples, 'tocsin_events_total', { outcome: 'stored' }) !== undefined);
    } finally {
      await api.close();
      await away.close(true);
    }
  });

  it('a scrape does not wait for a database that hangs', async () => {
    const database = await freshDatabase();
    const orm = await connect(database.url, 2);
    const api = await stage({
      change({ registry, client }) {
        watchSystem(registry, { orm, client });
        return {};
      },
    });
    const client = new pg.Client(database.url);
    await client.connect();
    try {
      await client.query('begin; lock table wake_outbox in access exclusive mode');
      const first = await scrape(api);
      assert.equal(sampled(first, 'tocsin_up', { component: 'postgres' }), 0);
      assert.equal(sampled(first, 'tocsin_incidents', { state: 'open' }), undefined);
      await scrape(api);
      const { rows } = await client.query(
        `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
      );
      assert.equal(rows.length, 1, 'a second look joined one that hangs');
      await client.query('rollback');
      await waitFor(async () => sampled(await scrape(api), 'tocsin_up', { component: 'postgres' }) === 1, {
        what: 'the database to be read again',
      });
    } finally {
      await client.end();
      await api.close();
      await orm.close(true);
      await database.drop();
    }
  });
});
