import assert from 'node:assert/strict';
import type { Principal } from '../../../../api/auth/access.ts';
import { Problem } from '../../../../api/http/problem.ts';
import { type Stage, stage } from '../../stage.ts';

const ids = { a: '0000000a-0000-4000-8000-000000000000', b: '0000000b-0000-4000-8000-000000000000' };
const KEYS: Record<string, string> = { ['a'.repeat(32)]: ids.a, ['b'.repeat(32)]: ids.b };

describe('PagerDuty’s Events API v2', () => {
  let api: Stage;
  let spent = 0;
  before(async () => {
    api = await stage({
      change: ({ access }) => ({
        access: {
          ...access,
          async admitKey(secret, role) {
            assert.equal(role, 'ingest');
            const id = KEYS[secret];
            if (!id) throw new Problem(401, 'the key is unknown');
            return { ...((await access.admitKey(secret, role)) as Principal), id, name: id };
          },
          async spendAlerts(_, opening) {
            spent += opening;
            if (spent > 100) throw new Problem(429, 'too many events', { headers: { 'Retry-After': '7' } });
          },
        },
      }),
    });
  });
  beforeEach(() => {
    spent = 0;
  });
  after(() => api.close());

  const payload = { summary: 'Disk is full', source: 'web-1', severity: 'error' };
  const send = (changes: object = {}) =>
    api.post('/v2/enqueue', { routing_key: 'a'.repeat(32), event_action: 'trigger', payload, ...changes });
  const known = (dedup: string) =>
    api.query<{
      key: string;
      summary: string;
      severity: string;
      ends: string;
      acknowledged_by: string | null;
    }>(
      `select key, summary, severity, ends, acknowledged_by from received_alerts where key like '%/${dedup}' order by key`,
    );

  it('triggers, acknowledges and resolves by dedup_key, and returns it with 202', async () => {
    const dedup_key = 'whole';
    const { status, body } = await send({ dedup_key });
    assert.equal(status, 202);
    assert.deepEqual(body, { status: 'success', message: 'Event processed', dedup_key });
    assert.equal((await send({ dedup_key })).status, 202);
    const [alert, ...others] = await known(dedup_key);
    assert.deepEqual(others, []);
    assert.deepEqual([alert!.summary, alert!.severity, alert!.ends], ['Disk is full', 'high', 'timeout']);
    assert.equal((await send({ dedup_key, event_action: 'acknowledge', payload: undefined })).status, 202);
    assert.equal((await known(dedup_key))[0]!.acknowledged_by, ids.a);
    assert.equal((await send({ dedup_key, event_action: 'resolve', payload: undefined })).status, 202);
    assert.equal((await known(dedup_key))[0]!.ends, 'resolved');
  });

  it('refuses no page over a detail: texts are cut if they are too long, and repaired', async () => {
    const custom_details = { stack: 'at f()\n'.repeat(30_000), 'a\0': '\ud800' };
    for (const timestamp of ['yesterday', undefined]) {
      const answer = await send({
        payload: { ...payload, summary: 'x'.repeat(2000), timestamp, custom_details },
      });
      assert.equal(answer.status, 202);
    }
    for (const dedup_key of ['', 'k'.repeat(300), 'nul\0']) {
      assert.equal((await send({ dedup_key })).status, 202);
    }
  });

  it('stores a change event, which opens no incident', async () => {
    const change = {
      routing_key: 'a'.repeat(32),
      payload: {
        ...{ summary: 'Deployed 1.2.3', source: 'acme-build', timestamp: new Date().toISOString() },
        custom_details: { build: 12345678901234567890n.toString() },
      },
      links: [{ href: 'https://ci.example/1', text: 'build' }],
    };
    const { status, body } = await api.post('/v2/change/enqueue', change);
    assert.deepEqual([status, body], [202, { status: 'success', message: 'Change event processed' }]);
    const [event] = await api.query<{ event_type: string; severity: string; payload: { summary: string } }>(
      `select event_type, severity, payload from events where source_id = 'acme-build'`,
    );
    assert.deepEqual(
      [event!.event_type, event!.severity, event!.payload.summary],
      ['change', 'info', 'Deployed 1.2.3'],
    );
    const bad = await api.post('/v2/change/enqueue', { ...change, payload: {} });
    assert.deepEqual([bad.status, bad.body.status], [400, 'invalid event']);
    const unknown = await api.post('/v2/change/enqueue', { ...change, routing_key: 'c'.repeat(32) });
    assert.equal(unknown.status, 401);
  });

  it('makes up a dedup_key for a trigger without one', async () => {
    const { body } = await send();
    assert.match(body.dedup_key, /^[0-9a-f]{32}$/);
    assert.equal((await known(body.dedup_key)).length, 1);
  });

  it('separates the alerts of one key from those of another', async () => {
    await send({ dedup_key: 'shared' });
    await send({ dedup_key: 'shared', routing_key: 'b'.repeat(32), event_action: 'resolve' });
    assert.deepEqual(
      (await known('shared')).map(({ ends }) => ends),
      ['timeout'],
    );
  });

  it('answers in PagerDuty’s form for invalid events, unknown keys, and too many events', async () => {
    const invalid = await send({ payload: { ...payload, severity: 'fatal' } });
    assert.equal(invalid.status, 400);
    assert.equal(invalid.body.status, 'invalid event');
    assert.match(invalid.body.errors[0], /^'payload\.severity' /);
    const large = await send({ payload: { ...payload, custom_details: { a: 'x'.repeat(600_000) } } });
    assert.deepEqual([large.status, large.body.status], [413, 'invalid event']);
    const unknown = await send({ routing_key: 'c'.repeat(32) });
    assert.deepEqual([unknown.status, unknown.body.status], [401, 'invalid event']);
    spent = 100;
    const fast = await send();
    assert.deepEqual([fast.status, fast.body.status], [429, 'throttle exceeded']);
    assert.equal(fast.headers.get('retry-after'), '7');
    await api.rejections.flush();
    const { body: refused } = await api.get('/rejections?route=/v2/enqueue');
    const last: [string, string][] = refused.last.map(({ key, reason }: Record<string, string>) => [
      key,
      reason,
    ]);
    assert.deepEqual(last.sort(), [
      [ids.a, 'over_rate'],
      ['anyone', 'invalid'],
      ['anyone', 'too_large'],
      ['anyone', 'unauthorized'],
    ]);
  });
});
