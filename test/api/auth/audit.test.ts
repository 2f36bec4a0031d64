import assert from 'node:assert/strict';
import { isRecorded } from '../../../api/auth/audit.ts';
import { type Stage, stage } from '../stage.ts';
import { type KeyStage, keyStage } from './stage.ts';

const RULE = { name: 'Too many', event_type: 'cpu_spike', threshold_count: 3, window_seconds: 60 };

describe('the audit log', () => {
  let api: KeyStage;
  before(async () => {
    api = await keyStage();
  });
  after(() => api.close());

  // biome-ignore lint/suspicious/noExplicitAny: entries as they come
  const record = async (query = ''): Promise<any[]> => (await api.by(api.root, 'GET', `/audit${query}`)).body;

  it('every change is recorded with its author and the values before and after it', async () => {
    const ada = await api.key(['operate'], { name: 'ada' });
    const { body: rule } = await api.by(ada.key, 'POST', '/alerts', RULE);
    await api.by(ada.key, 'PUT', `/alerts/${rule.id}`, { threshold_count: 5 });
    await api.by(ada.key, 'DELETE', `/alerts/${rule.id}`);
    await api.by(ada.key, 'DELETE', `/alerts/${rule.id}`);
    const entries = await record(`?principal_id=${ada.id}`);
    assert.deepEqual(
      entries.map(({ action, target, status }) => [action, target, status]),
      [
        ['DELETE /alerts/{id}', `/alerts/${rule.id}`, 404],
        ['DELETE /alerts/{id}', `/alerts/${rule.id}`, 204],
        ['PUT /alerts/{id}', `/alerts/${rule.id}`, 200],
        ['POST /alerts', `/alerts/${rule.id}`, 201],
      ],
    );
    assert.ok(entries.every(({ principal, address }) => principal === 'ada' && address === '127.0.0.1'));
    assert.equal(entries[2].detail.body.threshold_count, 5);
    assert.equal(entries[3].detail.body.name, 'Too many');
  });

  it('making and revoking a key is recorded without the secret', async () => {
    const bob = await api.key(['read'], { name: 'bob' });
    await api.by(api.root, 'DELETE', `/keys/${bob.id}`);
    const [revoked, made] = await record();
    assert.deepEqual(
      [made.action, made.target, made.principal],
      ['POST /keys', `/keys/${bob.id}`, 'bootstrap'],
    );
    assert.deepEqual([revoked.action, revoked.status], ['DELETE /keys/{id}', 204]);
    assert.doesNotMatch(JSON.stringify(await record('?limit=200')), new RegExp(bob.key));
  });

  it('every route that operates or administers is recorded; ingest and reads are not', async () => {
    const recorded = api.routes.filter(isRecorded);
    for (const route of api.routes) {
      const changes =
        route.path === '/events/export' ||
        (route.method !== 'get' && (route.role === 'operate' || route.role === 'admin'));
      assert.equal(recorded.includes(route), changes, `${route.method} ${route.path}`);
    }
    assert.ok(recorded.length > 15);
    const before = (await record('?limit=200')).length;
    const { key } = await api.key(['ingest', 'read']);
    await api.by(key, 'POST', '/events', {
      source_id: 'source-1',
      severity: 'high',
      event_type: 'cpu_spike',
    });
    await api.by(key, 'GET', '/events');
    await api.by(key, 'DELETE', '/samples');
    await api.by(api.root, 'POST', '/alerts', { name: 'x' });
    assert.equal((await record('?limit=200')).length, before + 1, 'the key alone');
  });

  it('the audit log is paged without gaps or duplicates and filtered by time and action', async () => {
    const { key, id } = await api.key(['operate'], { name: 'eve' });
    for (let i = 0; i < 5; i++) await api.by(key, 'POST', '/alerts', { ...RULE, name: `rule ${i}` });
    const seen: string[] = [];
    for (let path: string | undefined = `/audit?limit=2&principal_id=${id}`; path; ) {
      const { body, headers } = await api.by(api.root, 'GET', path);
      seen.push(...body.map((entry: { target: string }) => entry.target));
      path = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    }
    assert.equal(new Set(seen).size, 5);
    assert.equal(seen.length, 5);
    const [{ at }] = (await record(`?principal_id=${id}`)) as [{ at: string }];
    const later = new Date(Date.parse(at) + 1).toISOString();
    assert.equal((await record(`?principal_id=${id}&from=${later}`)).length, 0);
    assert.equal((await record(`?principal_id=${id}&to=${later}`)).length, 5);
    assert.equal(
      (await record(`?principal_id=${id}&action=${encodeURIComponent('PUT /alerts/{id}')}`)).length,
      0,
    );
  });

  it('sign-ins, sign-outs, exports and acknowledgements through other protocols are recorded', async () => {
    const { id, key } = await api.key(['read', 'ingest'], { name: 'ida' });
    const { headers } = await api.call('POST', '/session', { key });
    const cookie = headers.get('set-cookie')!.split(';')[0]!;
    await api.call('DELETE', '/session', undefined, { cookie });
    await api.call('DELETE', '/session', undefined, { cookie });
    await api.call('POST', '/session', { key: key.replace(/.$/, '!') });
    await api.by(key, 'GET', '/events/export?severity=high');
    const page = { routing_key: key, dedup_key: 'disk' };
    const payload = { summary: 'full', source: 'web-1', severity: 'critical' };
    await api.call('POST', '/v2/enqueue', { ...page, event_action: 'trigger', payload });
    await api.call('POST', '/v2/enqueue', { ...page, event_action: 'acknowledge' });
    const entries = await record(`?principal_id=${id}`);
    assert.deepEqual(
      entries.map(({ action, status }) => [action, status]),
      [
        ['POST /v2/enqueue', 202],
        ['GET /events/export', 200],
        ['DELETE /session', 204],
        ['POST /session', 200],
      ],
    );
    assert.deepEqual(entries[0].detail.body, { event_action: 'acknowledge', dedup_key: 'disk' });
    assert.equal(entries[1].detail.query.severity, 'high');
    assert.ok(entries.every(({ principal, address }) => principal === 'ida' && address === '127.0.0.1'));
    assert.doesNotMatch(JSON.stringify(entries), new RegExp(key));
  });

  it('a key that may only read cannot flood the audit log with recorded exports', async () => {
    const { id, key } = await api.key(['read']);
    const statuses: number[] = [];
    for (let i = 0; i < 210; i++) {
      statuses.push((await api.by(key, 'GET', '/events/export?source_id=nobody')).status);
    }
    assert.deepEqual(statuses.slice(0, 200), Array(200).fill(200));
    assert.ok(statuses.slice(200).includes(429), String(statuses.slice(200)));
    const [{ n }] = (await api.query<{ n: number }>(
      `select count(*)::int as n from audit_log where principal_id = '${id}'`,
    )) as [{ n: number }];
    assert.ok(n <= 205, String(n));
  });

  it('a large request body is recorded as its size only', async () => {
    const annotations = Object.fromEntries(
      Array.from({ length: 10 }, (_, i) => [`note_${i}`, 'x'.repeat(900)]),
    );
    assert.equal((await api.by(api.root, 'POST', '/alerts', { ...RULE, annotations })).status, 201);
    const [{ detail }] = await record();
    assert.ok(detail.body.characters > 5000);
  });
});

describe('a change while the audit log cannot be written', () => {
  let api: Stage;
  beforeEach(async () => {
    api = await stage();
  });
  afterEach(() => api.close());

  /** Makes writes to the audit log fail, as they do on a full disk. */
  const refuse = async (write: 'insert' | 'update') => {
    await api.query(
      `create function refuse() returns trigger language plpgsql as $$ begin raise 'full' using errcode = '53100'; end $$`,
    );
    await api.query(
      `create trigger refuse before ${write} on audit_log for each row execute function refuse()`,
    );
  };

  it('the change is refused if its entry cannot be written first', async () => {
    await refuse('insert');
    assert.equal((await api.post('/alerts', RULE)).status, 503);
    const rules = (await api.get('/alerts')).body as { name: string }[];
    assert.ok(!rules.some(({ name }) => name === RULE.name));
  });

  it('the change is made if only its outcome cannot be written, and its entry has no outcome', async () => {
    await refuse('update');
    assert.equal((await api.post('/alerts', RULE)).status, 201);
    const [entry] = (await api.get('/audit')).body;
    assert.deepEqual([entry.action, entry.target, entry.status], ['POST /alerts', '/alerts', null]);
    assert.deepEqual([entry.principal, entry.principal_id], ['anyone', null]);
  });
});
