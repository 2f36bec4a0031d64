import assert from 'node:assert/strict';
import { ensureDay } from '../../../db/partitions.ts';
import { DAY_MS } from '../../../domain/events/event.ts';
import { BufferFull, DiskFull } from '../../../ingest/outcome.ts';
import { RETENTION_DAYS, type Stage, stage, TOKEN } from '../stage.ts';

const NOW = Date.UTC(2026, 4, 4, 12);
const full = {
  state: 'full',
  free_bytes: 1000,
  total_bytes: 100_000,
  known_by: 'path',
  measured_at: NOW,
} as const;

describe('the storage', () => {
  let api: Stage;
  before(async () => {
    api = await stage({ change: () => ({ clock: () => NOW, disk: { report: () => full } }) });
  });
  after(() => api.close());

  const storage = async () => (await api.get('/storage')).body;
  const event = (daysAgo: number) => ({
    source_id: 'source-1',
    timestamp: new Date(NOW - daysAgo * DAY_MS).toISOString(),
    severity: 'high',
    event_type: 'cpu_spike',
    payload: { text: 'x'.repeat(1000) },
  });
  const send = (...daysAgo: number[]) => api.post('/events', daysAgo.map(event));

  it('shows the size of each table and day, and the free space of the disk', async () => {
    await send(...Array(50).fill(3));
    await api.query('analyze events');
    const body = await storage();
    assert.deepEqual(body.disk, { ...full, measured_at: new Date(NOW).toISOString() });
    assert.ok(body.database_bytes > 1_000_000);
    const tables = new Map(body.tables.map((table: { name: string }) => [table.name, table]));
    for (const name of ['events', 'window_counts', 'event_rollups', 'alert_incidents', 'dead_letters']) {
      assert.ok(tables.has(name), name);
    }
    const day = body.days.find(({ day }: { day: string }) => day === '2026-05-01');
    assert.equal(day.events_estimate, 50);
    assert.ok(day.events_bytes > 40_000);
    assert.ok((tables.get('events') as { bytes: number }).bytes >= day.events_bytes);
    assert.equal(body.oldest_day <= '2026-05-01' && body.newest_day >= '2026-05-01', true);
  });

  it('projects full retention from past days that have events', async () => {
    for (const ahead of [1, 2]) await ensureDay(api.orm, Math.floor(NOW / DAY_MS) * DAY_MS - ahead * DAY_MS);
    await send(0, 3);
    const { days, bytes_per_day, projected_bytes, database_bytes, retention_days } = await storage();
    const day = days.find(({ day }: { day: string }) => day === '2026-05-01');
    assert.equal(retention_days, RETENTION_DAYS);
    assert.equal(bytes_per_day, day.events_bytes + day.counts_bytes);
    assert.equal(projected_bytes, database_bytes + (RETENTION_DAYS - 1) * bytes_per_day);
  });
});

describe('a full disk', () => {
  it('refuses events on every route with 503 and a time to come back', async () => {
    const api = await stage({
      change: ({ ingest }) => ({
        ingest: { ...ingest, accept: () => Promise.reject(new DiskFull(30)) },
      }),
    });
    try {
      const event = { source_id: 'source-1', severity: 'high', event_type: 'cpu_spike' };
      for (const answer of [
        await api.post('/events', event),
        await api.post('/events', [event, event]),
        await api.send(event, { 'x-ingest-token': TOKEN }),
      ]) {
        assert.equal(answer.status, 503);
        assert.match(answer.body.detail, /disk of PostgreSQL is full/);
        assert.equal(answer.headers.get('retry-after'), '30');
      }
      const headers = { 'content-type': 'application/x-ndjson' };
      const body = `${JSON.stringify(event)}\n`;
      const streamed = await fetch(`${api.url}/events`, { method: 'POST', headers, body });
      assert.deepEqual([streamed.status, streamed.headers.get('retry-after')], [503, '30']);
      assert.equal((await api.get('/events')).status, 200, 'what is on record stays readable');
    } finally {
      await api.close();
    }
  });

  it('refuses alerts too, before reading them and in the form of their protocols', async () => {
    const requireRoom = () => {
      throw new DiskFull(30);
    };
    const api = await stage({ change: ({ alerts }) => ({ alerts: { ...alerts, requireRoom } }) });
    try {
      for (const path of ['/api/v2/alerts', '/v2/enqueue']) {
        const { status, headers, body } = await api.post(path, 'unread');
        assert.deepEqual([status, headers.get('retry-after')], [503, '30'], path);
        assert.match(body.message ?? body, /disk of PostgreSQL is full/);
      }
      assert.equal((await api.get('/api/v2/alerts')).status, 200, 'what is on record stays readable');
    } finally {
      await api.close();
    }
  });
});

describe('a full buffer', () => {
  it('refuses events, but no alerts, which do not use it', async () => {
    const requireRoom = () => {
      throw new BufferFull(7);
    };
    const api = await stage({ change: ({ ingest }) => ({ ingest: { ...ingest, requireRoom } }) });
    try {
      const refused = await api.post('/events', {});
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '7']);
      const labels = { alertname: 'TooManyEvents' };
      assert.equal((await api.post('/api/v2/alerts', [{ labels }])).status, 200);
      const payload = { summary: 'Too many events', source: 'web-1', severity: 'critical' };
      const trigger = { routing_key: 'any', event_action: 'trigger', payload };
      assert.equal((await api.post('/v2/enqueue', trigger)).status, 202);
    } finally {
      await api.close();
    }
  });
});
