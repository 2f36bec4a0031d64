import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Rates } from '../../../api/auth/rates.ts';
import { bearer, type KeyStage, keyStage } from './stage.ts';

describe('the rate limit of a key', () => {
  function rates() {
    const there = { now: 5000 };
    return { there, rates: new Rates({ uptime: () => there.now }) };
  }

  it('a key may send one second’s worth at once, and then at its rate', () => {
    const { there, rates: r } = rates();
    for (let i = 0; i < 11; i++) assert.equal(r.spend('a', 10, 1), 0, `event ${i}`);
    assert.equal(r.spend('a', 10, 1), 100);
    assert.equal(r.spend('b', 10, 1), 0, 'another key has its own');
    there.now += 99;
    assert.equal(r.wait('a'), 1);
    there.now += 1;
    assert.equal(r.spend('a', 10, 1), 0);
    assert.equal(r.spend('a', 10, 1), 100);
  });

  it('a batch larger than the rate is accepted whole and paid back by waiting', () => {
    const { there, rates: r } = rates();
    assert.equal(r.spend('a', 100, 10_000), 0);
    assert.equal(r.spend('a', 100, 1), 99_000);
    there.now += 99_000;
    assert.equal(r.spend('a', 100, 10_000), 0);
  });

  it('the rate is kept over time for any pattern of events', () => {
    const steps = fc.array(fc.tuple(fc.nat(500), fc.integer({ min: 1, max: 300 })), { minLength: 1 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 100 }), (coming, perSecond) => {
        const { there, rates: r } = rates();
        const start = there.now;
        let spent = 0;
        let largest = 0;
        for (const [pause, events] of coming) {
          there.now += pause;
          if (r.spend('a', perSecond, events) > 0) continue;
          spent += events;
          largest = Math.max(largest, events);
        }
        const due = ((there.now - start) / 1000) * perSecond;
        assert.ok(spent <= due + perSecond + largest + 1e-6, `${spent} of ${due}`);
      }),
    );
  });

  it('a key never has to wait longer than the longest wait', () => {
    const there = { now: 5000 };
    const r = new Rates({ uptime: () => there.now, longestMs: 60_000 });
    assert.equal(r.spend('a', 10, 10_000), 0);
    assert.equal(r.spend('a', 10, 1), 60_000);
    there.now += 60_000;
    assert.equal(r.spend('a', 10, 1), 0);
  });

  describe('the rate limit over HTTP', () => {
    let api: KeyStage;
    before(async () => {
      api = await keyStage();
    });
    after(() => api.close());

    const event = { source_id: 'source-1', severity: 'high', event_type: 'cpu_spike' };
    const count = async () => (await api.query<{ n: number }>('select count(*)::int as n from events'))[0]!.n;

    it('a key above its rate is answered with 429 and Retry-After before anything is stored; other keys are not limited', async () => {
      const { key } = await api.key(['ingest'], { rate_limit: 2 });
      const batch = Array.from({ length: 20 }, () => event);
      assert.equal(
        (await api.by(key, 'POST', '/events', batch)).status,
        200,
        'a batch above the rate gets through',
      );
      const { status, headers, body } = await api.by(key, 'POST', '/events', event);
      assert.equal(status, 429);
      const wait = Number(headers.get('retry-after'));
      assert.ok(wait >= 1 && wait <= 9, String(wait));
      assert.match(body.detail, /over its rate of 2 events per second/);
      assert.equal(await count(), 20);
      const other = await api.key(['ingest'], { rate_limit: 2 });
      assert.equal((await api.by(other.key, 'POST', '/events', event)).status, 201);
    });

    it('a request above the rate is refused before its body is read', async () => {
      const { key } = await api.key(['ingest'], { rate_limit: 1 });
      await api.by(
        key,
        'POST',
        '/events',
        Array.from({ length: 100 }, () => event),
      );
      assert.equal((await api.by(key, 'POST', '/events', 'no JSON at all')).status, 429);
    });

    it('a stream above the rate is paused until its key may send again', async () => {
      const { key } = await api.key(['ingest'], { rate_limit: 1000 });
      const before = await count();
      let stretches = 0;
      const lines = `${JSON.stringify(event)}\n`.repeat(1000);
      const body = new ReadableStream({
        pull(controller) {
          if (stretches++ < 3) controller.enqueue(new TextEncoder().encode(lines));
          else controller.close();
        },
      });
      const headers = { ...bearer(key), 'content-type': 'application/x-ndjson' };
      const started = performance.now();
      const response = await fetch(`${api.url}/events`, { method: 'POST', headers, body, duplex: 'half' });
      assert.equal(response.status, 200, await response.clone().text());
      assert.equal(((await response.json()) as { stored: number }).stored, 3000);
      assert.equal((await count()) - before, 3000);
      assert.ok(
        performance.now() - started > 900,
        'a second’s worth is free, and the last stretch may be owed',
      );
    });

    it('only events count towards the rate; reads do not', async () => {
      const { key } = await api.key(['ingest', 'read'], { rate_limit: 1 });
      await api.by(
        key,
        'POST',
        '/events',
        Array.from({ length: 100 }, () => event),
      );
      for (let i = 0; i < 5; i++) assert.equal((await api.by(key, 'GET', '/events')).status, 200);
    });

    const alertsOf = async (name: string) =>
      (
        await api.query<{ ends: string; until: number }>(
          `select ends, ends_at::float8 as until from received_alerts where labels->>'alertname' = '${name}'`,
        )
      )[0];
    const alerts = (names: string[], more: object = {}) =>
      names.map((alertname) => ({ labels: { alertname }, ...more }));
    const names = (n: number, what: string) => Array.from({ length: n }, (_, i) => `${what}-${i}`);

    for (const [what, more] of [
      ['its own rate', { rate_limit: 2 }],
      ['the default', {}],
    ] as const) {
      it(`new alerts above ${what} are refused; refreshes and ends of alerts are accepted`, async () => {
        const { key } = await api.key(['ingest'], more);
        const rate = 'rate_limit' in more ? more.rate_limit : 10;
        const known = names(40, what);
        const post = (list: object[]) => api.by(key, 'POST', '/api/v2/alerts', list);
        assert.equal((await post(alerts(known))).status, 200, 'a request above the rate gets through');
        const before = (await alertsOf(known[0]!))!.until;

        const mixed = [
          ...alerts([known[0]!], { endsAt: new Date(Date.now() + 3_600_000).toISOString() }),
          ...alerts([known[1]!], { startsAt: new Date(0).toISOString(), endsAt: new Date().toISOString() }),
          ...alerts([`${what}-new`]),
        ];
        const answer = await post(mixed);
        assert.equal(answer.status, 429);
        assert.match(answer.body, new RegExp(`over its rate of ${rate} new alerts per second`));
        assert.ok(Number(answer.headers.get('retry-after')) <= 60);
        assert.ok((await alertsOf(known[0]!))!.until > before, 'the refresh is stored');
        assert.equal((await alertsOf(known[1]!))!.ends, 'resolved');
        assert.equal(await alertsOf(`${what}-new`), undefined);

        assert.equal((await post(alerts(known.slice(2)))).status, 200, 'refreshes alone are no new alerts');
        assert.equal((await api.by(key, 'POST', '/events', event)).status, 201, 'events count apart');
        const other = await api.key(['ingest'], more);
        assert.equal(
          (await api.by(other.key, 'POST', '/api/v2/alerts', alerts([`${what}-new`]))).status,
          200,
        );
      });
    }

    it('a key above its event rate may still send alerts, and a key above its alert rate may still resolve', async () => {
      const { key } = await api.key(['ingest'], { rate_limit: 1 });
      const many = Array.from({ length: 100 }, () => event);
      assert.equal((await api.by(key, 'POST', '/events', many)).status, 200);
      const page = (dedup_key: string, event_action = 'trigger') =>
        api.post('/v2/enqueue', {
          ...{ routing_key: key, event_action, dedup_key },
          payload: { summary: 'x', source: 'web-1', severity: 'error' },
        });
      const statuses = [];
      for (let i = 0; i < 4; i++) statuses.push((await page(`page-${i}`)).status);
      assert.equal(statuses[0], 202);
      assert.equal(statuses.at(-1), 429);
      assert.equal((await page('page-0')).status, 202, 'it is known');
      assert.equal((await page('page-0', 'acknowledge')).status, 202);
      assert.equal((await page('page-0', 'resolve')).status, 202);
    });
  });
});
