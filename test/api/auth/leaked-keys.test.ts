import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { producedEventId } from '../../../domain/producers/simulate.ts';
import { alertmanagerKey } from '../../../domain/received-alerts/key.ts';
import { isReserved } from '../../../domain/reserved-id.ts';
import { alertEvent } from '../../../ingest/alerts/event.ts';
import { fromCloudEvent } from '../../../ingest/formats/cloudevents.ts';
import { firing } from '../../support/alerts.ts';
import { bearer, type KeyStage, keyStage } from './stage.ts';

const event = (changes: object = {}) => ({
  event_id: randomUUID(),
  ...{
    source_id: 'payments',
    severity: 'high',
    event_type: 'cpu_spike',
    payload: { secret: 'account 4711' },
  },
  timestamp: new Date().toISOString(),
  ...changes,
});

describe('a leaked ingest key', () => {
  let api: KeyStage;
  let ours: string;
  let leaked: string;
  before(async () => {
    api = await keyStage();
    ours = (await api.key(['ingest'], { name: 'ours' })).key;
    leaked = (await api.key(['ingest'], { name: 'leaked' })).key;
  });
  after(() => api.close());

  describe('reserved event ids', () => {
    const tick = Date.now();
    const ids = [
      producedEventId('check-1', 7, tick, 'reserved'),
      alertEvent(firing(tick), 'firing', firing(tick), tick).event_id,
    ];

    it('every ingest endpoint refuses an event_id that is reserved for Tocsin’s own events', async () => {
      for (const event_id of ids) {
        assert.ok(isReserved(event_id));
        for (const given of [event_id, event_id.toUpperCase()]) {
          const one = await api.by(leaked, 'POST', '/events', event({ event_id: given }));
          assert.equal(one.status, 422);
          assert.match(one.body.detail, /^event_id: is reserved for events/);
          assert.equal(
            (await api.by(leaked, 'POST', '/internal/events', event({ event_id: given }))).status,
            422,
          );
          const { body } = await api.by(leaked, 'POST', '/events', [event({ event_id: given }), event()]);
          assert.deepEqual([body.stored, body.invalid], [1, 1]);
          const { timestamp: _none, ...timeless } = event({ event_id: given });
          assert.equal((await api.by(leaked, 'POST', '/events', timeless)).status, 422);
        }
      }
      const taken = await api.query(`select 1 from events where event_id = any('{${ids}}')`);
      assert.deepEqual(taken, []);
      assert.deepEqual(await api.query(`select 1 from event_ids where event_id = any('{${ids}}')`), []);
    });

    it('random UUIDs and ids of earlier versions are not reserved', () => {
      for (let i = 0; i < 1000; i++) assert.ok(!isReserved(randomUUID()));
      assert.ok(!isReserved('70c51000-0000-4000-8000-000000000000'), 'of another version');
      assert.ok(!isReserved(producedEventId('check-1', 7, tick, undefined)), 'of batches of before');
    });
  });

  it('sending the id of another sender’s event does not reveal that event', async () => {
    const theirs = event();
    assert.equal((await api.by(ours, 'POST', '/events', theirs)).status, 201);
    for (const path of ['/events', '/internal/events']) {
      const { event_id, timestamp } = theirs;
      const probe = { ...event(), event_id, timestamp, source_id: 'whoever', payload: {} };
      const { status, body } = await api.by(leaked, 'POST', path, probe);
      assert.equal(status, 200);
      assert.deepEqual(body, { id: event_id, event_id, duplicate: true });
      const again = await api.by(ours, 'POST', path, theirs);
      assert.deepEqual([again.status, again.body.payload], [200, theirs.payload], 'who sent it may see it');
    }
    const reader = (await api.key(['ingest', 'read'], { name: 'reader' })).key;
    const { body } = await api.by(reader, 'POST', '/events', { ...theirs, payload: {} });
    assert.deepEqual(body.payload, theirs.payload);
  });

  describe('alerts of another sender', () => {
    const labels = { alertname: 'DiskFull', instance: 'db-1' };
    const iso = (inMs: number) => new Date(Date.now() + inMs).toISOString();
    const post = async (key: string, alert: object) => {
      const { status } = await api.by(key, 'POST', '/api/v2/alerts', [{ labels, ...alert }]);
      assert.equal(status, 200);
    };
    const active = async () => {
      const { body } = await api.call('GET', '/api/v2/alerts', undefined, bearer(api.root));
      return (body as { fingerprint: string }[]).some(
        ({ fingerprint }) => fingerprint === alertmanagerKey(labels),
      );
    };
    beforeEach(() => api.query('truncate received_alerts, past_received_alerts'));

    for (const [what, held] of [
      ['with an end', () => ({ startsAt: iso(-60_000), endsAt: iso(240_000) })],
      ['without an end', () => ({ startsAt: iso(-60_000) })],
    ] as const) {
      it(`a leaked key cannot end an alert that another key’s sender sent ${what}`, async () => {
        await post(ours, held());
        await post(leaked, { startsAt: iso(-60_000), endsAt: iso(-1) });
        assert.ok(await active(), 'resolved by another');
        await post(leaked, { startsAt: iso(-60_000), endsAt: iso(1000) });
        await post(leaked, { startsAt: iso(-60_000), endsAt: iso(-1) });
        assert.ok(await active(), 'triggered and resolved by another');
        const [row] = await api.query<{ ends_at: string }>('select ends_at from received_alerts');
        assert.ok(Number(row!.ends_at) > Date.now() + 100_000, 'as far as its sender holds it');
        await post(ours, { ...held(), endsAt: iso(-1) });
        assert.ok(!(await active()), 'its sender ends it');
      });
    }

    it('an alert that two senders hold ends when the last of them ends it', async () => {
      await post(ours, { startsAt: iso(-60_000), endsAt: iso(240_000) });
      await post(leaked, { startsAt: iso(-60_000), endsAt: iso(300_000) });
      await post(ours, { startsAt: iso(-60_000), endsAt: iso(-1) });
      assert.ok(await active());
      await post(leaked, { startsAt: iso(-60_000), endsAt: iso(-1) });
      assert.ok(!(await active()));
    });

    it('an alert does not outlast the last sender that keeps sending it', async () => {
      await post(ours, { startsAt: iso(-60_000), endsAt: iso(240_000) });
      await post(leaked, { startsAt: iso(-60_000), endsAt: iso(900_000) });
      await post(leaked, { startsAt: iso(-60_000), endsAt: iso(-1) });
      const [row] = await api.query<{ ends_at: string }>('select ends_at from received_alerts');
      assert.ok(Number(row!.ends_at) < Date.now() + 250_000);
    });
  });

  it('a key that is bound to sources cannot send events or alerts for other sources', async () => {
    const sources = ['payments', 'orders'];
    const { status, body: made } = await api.by(api.root, 'POST', '/keys', {
      ...{ name: 'bound', roles: ['ingest'], sources },
    });
    assert.equal(status, 201);
    assert.deepEqual(made.sources, sources);
    const send = (body: unknown, headers = {}, path = '/events') =>
      api.call('POST', path, body, { ...bearer(made.key), ...headers });
    assert.equal((await send(event())).status, 201);
    const refused = await send(event({ source_id: 'others' }));
    assert.deepEqual([refused.status, refused.body.detail], [403, 'the key may not send for this source']);
    assert.equal((await send(event({ source_id: 'others' }), {}, '/internal/events')).status, 403);
    assert.equal((await send([event({ source_id: 'others' }), event({ source_id: 'x' })])).status, 403);
    const mixed = await send([event(), event({ source_id: 'others' }), event({ source_id: 'orders' })]);
    assert.deepEqual(
      mixed.body.results.map((result: { status: string }) => result.status),
      ['stored', 'invalid', 'stored'],
    );
    assert.match(mixed.body.results[1].errors[0].reason, /is not a source/);
    const lines = [event({ source_id: 'others' }), event()].map((line) => JSON.stringify(line)).join('\n');
    const stream = await send(lines, { 'content-type': 'application/x-ndjson' });
    assert.deepEqual([stream.body.stored, stream.body.invalid], [1, 1]);
    const record = await send({ source: 'others', type: 'x', severity: 'low' }, {}, '/ingest/json/vector');
    assert.notEqual(record.body?.stored, 1);
    const cloud = { specversion: '1.0', id: '1', source: 'others', type: 'x' };
    assert.equal((await send(cloud, { 'content-type': 'application/cloudevents+json' })).status, 403);
    assert.equal((await send([], {}, '/api/v2/alerts')).status, 403);
    const page = { routing_key: made.key, event_action: 'resolve', dedup_key: 'x' };
    assert.equal((await api.call('POST', '/v2/enqueue', page)).status, 403);
    assert.deepEqual(await api.query(`select 1 from events where source_id = 'others'`), []);
  });

  it('a key that is bound to one source cannot occupy event ids of other sources', async () => {
    const event = { specversion: '1.0', id: 'order 7', source: 'payments', type: 'paid' };
    const mapped = fromCloudEvent(event);
    assert.ok('event' in mapped);
    const bound = await api.key(['ingest'], { name: 'bound to orders', sources: ['orders'] });
    const forged = {
      source_id: 'orders',
      severity: 'info',
      event_type: 'paid',
      event_id: mapped.event.event_id,
    };
    for (const [type, body] of [
      ['application/json', JSON.stringify(forged)],
      ['application/json', JSON.stringify([forged])],
      ['application/json', JSON.stringify({ ...forged, event_id: forged.event_id!.toUpperCase() })],
      ['application/x-ndjson', JSON.stringify(forged)],
      ['application/cloudevents+json', JSON.stringify({ ...event, id: forged.event_id, source: 'orders' })],
    ] as const) {
      const response = await fetch(`${api.url}/events`, {
        ...{ method: 'POST', body },
        headers: { ...bearer(bound.key), 'content-type': type },
      });
      assert.equal(response.status, 422, `${type}: ${body}`);
      assert.match(await response.text(), /UUID of version 5/);
    }
    const headers = { 'content-type': 'application/cloudevents+json', prefer: 'return=representation' };
    const own = await api.key(['ingest'], { name: 'bound to payments', sources: ['payments'] });
    const sent = await fetch(`${api.url}/events`, {
      ...{ method: 'POST', body: JSON.stringify(event) },
      headers: { ...bearer(own.key), ...headers },
    });
    assert.equal(sent.status, 201, 'it is new');
    const chosen = { ...forged, event_id: randomUUID() };
    assert.equal((await api.by(bound.key, 'POST', '/events', chosen)).status, 201);
  });

  it('a key that is bound to sources gets the same results when it repeats a request with an Idempotency-Key', async () => {
    const { key } = await api.key(['ingest'], { name: 'bound twice', sources: ['payments'] });
    const { event_id: _id, ...first } = event();
    const body = [{ ...first, source_id: 'others' }, first];
    const send = () => api.call('POST', '/events', body, { ...bearer(key), 'idempotency-key': 'one' });
    const [one, two] = [await send(), await send()];
    assert.deepEqual(one.body.results, two.body.results);
  });
});
