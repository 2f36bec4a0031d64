import assert from 'node:assert/strict';
import { type Stage, stage } from '../stage.ts';

describe('/analytics', () => {
  let api: Stage;
  const minute = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;
  const at = (ms: number) => new Date(minute + ms).toISOString();
  before(async () => {
    api = await stage();
    for (const [ms, severity] of [
      [0, 'high'],
      [59_999, 'high'],
      [60_000, 'low'],
      [180_000, 'high'],
    ] as const) {
      const event = { source_id: 'source-1', severity, event_type: 'cpu_spike', timestamp: at(ms) };
      assert.equal((await api.send(event)).status, 201);
    }
  });
  after(() => api.close());

  it('returns zeros if there are no events', async () => {
    const empty = await stage();
    try {
      assert.deepEqual((await empty.get('/analytics/summary')).body, {
        total_events: 0,
        total_alerts: 0,
        latest_event_timestamp: null,
      });
      assert.deepEqual((await empty.get('/analytics/severity-distribution')).body, []);
      assert.deepEqual((await empty.get('/analytics/time-series')).body, []);
    } finally {
      await empty.close();
    }
  });

  it('counts events without duplicates, and incidents', async () => {
    const { body: events } = await api.get('/events');
    await api.send({ ...events[0], event_id: events[0].id });
    assert.deepEqual((await api.get('/analytics/summary')).body, {
      total_events: 4,
      total_alerts: 0,
      latest_event_timestamp: at(180_000),
    });
  });

  it('counts events by severity, in a time range', async () => {
    const path = '/analytics/severity-distribution';
    assert.deepEqual((await api.get(path)).body, [
      { severity: 'high', count: 3 },
      { severity: 'low', count: 1 },
    ]);
    assert.deepEqual((await api.get(`${path}?from=${at(60_000)}&to=${at(120_000)}`)).body, [
      { severity: 'low', count: 1 },
    ]);
  });

  it('counts by minute and by longer steps', async () => {
    const path = '/analytics/time-series';
    assert.deepEqual((await api.get(path)).body, [
      { minute: at(0), count: 2 },
      { minute: at(60_000), count: 1 },
      { minute: at(180_000), count: 1 },
    ]);
    const steps = (await api.get(`${path}?step=86400`)).body;
    assert.equal(
      steps.reduce((sum: number, { count }: { count: number }) => sum + count, 0),
      4,
    );
    assert.ok(steps.every(({ minute: step }: { minute: string }) => Date.parse(step) % 86_400_000 === 0));
    assert.deepEqual((await api.get(`${path}?from=${at(90_000)}&to=${at(60_001)}`)).body, [
      { minute: at(60_000), count: 1 },
    ]);
  });

  it('counts each minute correctly, however it is stored, over days, months and a leap day', async () => {
    const other = await stage();
    try {
      const times = [
        '2024-02-28T23:59',
        '2024-02-29T00:00',
        '2024-02-29T23:59',
        '2024-03-01T00:00',
        '2025-12-31T12:34',
      ];
      const minutes = times.map((text) => Date.parse(`${text}Z`));
      for (const at of minutes.toReversed()) {
        await other.query(`insert into event_totals values (0, ${at}, '', '', 7)`);
      }
      // Late events, not folded yet, in two rows. Negative counts from deletions cancel others.
      await other.query(`insert into event_rollups (minute, severity, event_type, slot, n) values
        (${minutes[1]}, 'high', 'a', 0, 2), (${minutes[1]}, 'low', 'b', 1, 3), (${minutes[3]}, 'high', 'a', 0, -7)`);
      assert.deepEqual(
        (await other.get('/analytics/time-series')).body,
        [7, 12, 7, 0, 7]
          .map((count, i) => ({ minute: `${times[i]}:00.000Z`, count }))
          .filter(({ count }) => count > 0),
      );
      assert.deepEqual((await other.get('/analytics/time-series?step=1800')).body, [
        { minute: '2024-02-28T23:30:00.000Z', count: 7 },
        { minute: '2024-02-29T00:00:00.000Z', count: 12 },
        { minute: '2024-02-29T23:30:00.000Z', count: 7 },
        { minute: '2025-12-31T12:30:00.000Z', count: 7 },
      ]);
    } finally {
      await other.close();
    }
  });

  for (const query of [
    'step=0',
    'step=61',
    'step=-60',
    'step=1e3',
    'step=99999999999',
    'from=now',
    'to=%00',
  ]) {
    it(`answers ${query} with 422`, async () => {
      assert.equal((await api.get(`/analytics/time-series?${query}`)).status, 422);
    });
  }
});
