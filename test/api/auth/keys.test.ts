import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { hashOf, isSecret, makeSecret } from '../../../domain/keys/key.ts';
import { ROLES } from '../../../domain/keys/role.ts';
import { type KeyStage, keyStage } from './stage.ts';

describe('the endpoint /keys', () => {
  let api: KeyStage;
  before(async () => {
    api = await keyStage();
  });
  after(() => api.close());

  const admin = (method: string, path: string, body?: unknown) => api.by(api.root, method, path, body);

  it('POST /keys shows the secret once, and PostgreSQL stores only its hash', async () => {
    const { status, body, headers } = await admin('POST', '/keys', {
      name: ' collector ',
      roles: ['ingest'],
    });
    assert.equal(status, 201);
    assert.equal(body.key.length, 32);
    assert.ok(isSecret('key', body.key));
    assert.ok(body.key.startsWith(body.prefix));
    assert.equal(headers.get('location'), `/keys/${body.id}`);
    assert.equal(headers.get('cache-control'), 'no-store');
    const { key, ...rest } = body;
    assert.deepEqual(
      { ...rest, id: null, prefix: null, created_at: null },
      {
        ...{ id: null, prefix: null, created_at: null },
        ...{ name: 'collector', roles: ['ingest'], rate_limit: null, state: 'active', bootstrap: false },
        sources: null,
        ...{ created_by: 'bootstrap', expires_at: null, last_used_at: null, revoked_at: null },
      },
    );
    assert.deepEqual((await admin('GET', `/keys/${body.id}`)).body, rest);
    assert.deepEqual((await admin('GET', '/keys')).body[0], rest);
    const rows = await api.query<Record<string, unknown>>('select * from api_keys');
    const audited = await api.query<Record<string, unknown>>('select * from audit_log');
    assert.doesNotMatch(JSON.stringify([rows, audited]), new RegExp(key));
    assert.ok(rows.some(({ hash }) => hash === hashOf(key)));
  });

  it('POST /keys refuses the name of another active key and names that are reserved', async () => {
    const make = (name: string) => admin('POST', '/keys', { name, roles: ['read'] });
    const { status, body } = await make('Grafana');
    assert.equal(status, 201);
    for (const name of ['Grafana', 'grafana', ' GRAFANA ']) {
      const again = await make(name);
      assert.equal(again.status, 409, name);
      assert.match(again.body.detail, /another key in force already has the name/);
    }
    for (const name of ['bootstrap', 'Anyone', 'API', 'ingest token', 'unknown']) {
      assert.equal((await make(name)).status, 422, name);
    }
    await admin('DELETE', `/keys/${body.id}`);
    assert.equal((await make('Grafana')).status, 201, 'after the other was revoked');
  });

  it('POST /keys names each field that is invalid', async () => {
    const good = { name: 'good', roles: ['read'] };
    for (const [body, field] of [
      [{ ...good, name: '' }, 'name'],
      [{ ...good, name: '  ' }, 'name'],
      [{ ...good, name: 'x'.repeat(101) }, 'name'],
      ...['a\0b', 'a\nb', 'a\u2028b', 'nimda\u202e', 'boot\u200bstrap', '\u2066a', 'a\u061c', 'a\u007f'].map(
        (name) => [{ ...good, name }, 'name'] as const,
      ),
      [{ name: 'x' }, 'roles'],
      [{ ...good, roles: [] }, 'roles'],
      [{ ...good, roles: ['read', 'read'] }, 'roles'],
      [{ ...good, roles: ['root'] }, 'roles.0'],
      [{ ...good, roles: 'read' }, 'roles'],
      [{ ...good, rate_limit: 0 }, 'rate_limit'],
      [{ ...good, rate_limit: 1_000_001 }, 'rate_limit'],
      [{ ...good, rate_limit: 1.5 }, 'rate_limit'],
      [{ ...good, expires_at: new Date(Date.now() - 1000).toISOString() }, 'expires_at'],
      [{ ...good, expires_at: 'tomorrow' }, 'expires_at'],
      [{ ...good, expires_at: '+275760-09-14T00:00:00Z' }, 'expires_at'],
    ] as const) {
      const { status, body: problem } = await admin('POST', '/keys', body);
      assert.equal(status, 422, JSON.stringify(body));
      assert.equal(problem.errors[0].field, field);
    }
    const full = {
      name: 'x'.repeat(100),
      roles: ROLES,
      rate_limit: 1_000_000,
      expires_at: '9999-12-31T23:59:59Z',
    };
    assert.equal((await admin('POST', '/keys', full)).status, 201);
    assert.equal((await admin('POST', '/keys', { ...good, rate_limit: null, expires_at: null })).status, 201);
  });

  it('GET /keys lists every key once over its pages, newest first', async () => {
    for (let i = 0; i < 5; i++) await api.key(['read'], { name: `page ${i}` });
    const seen: string[] = [];
    for (let path: string | undefined = '/keys?limit=2'; path; ) {
      const { body, headers } = await admin('GET', path);
      seen.push(...body.map(({ id }: { id: string }) => id));
      path = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    }
    const all = await api.query<{ id: string }>('select id from api_keys order by created_at desc, id desc');
    assert.deepEqual(
      seen,
      all.map(({ id }) => id),
    );
  });

  it('DELETE /keys/{id} revokes the key at once, and repeating it succeeds', async () => {
    const { id, key } = await api.key(['read']);
    assert.equal((await api.by(key, 'GET', '/events')).status, 200);
    const both = await Promise.all([admin('DELETE', `/keys/${id}`), admin('DELETE', `/keys/${id}`)]);
    assert.deepEqual(
      both.map(({ status }) => status),
      [204, 204],
    );
    assert.equal((await api.by(key, 'GET', '/events')).status, 401);
    const { body } = await admin('GET', `/keys/${id}`);
    assert.equal(body.state, 'revoked');
    await admin('DELETE', `/keys/${id}`);
    assert.equal((await admin('GET', `/keys/${id}`)).body.revoked_at, body.revoked_at);
  });

  it('an unknown key id is answered with 404', async () => {
    for (const method of ['GET', 'DELETE']) {
      assert.equal((await admin(method, `/keys/${randomUUID()}`)).status, 404);
      assert.equal((await admin(method, '/keys/%00')).status, 422);
    }
  });

  it('a key is refused with 401 after it expires', async () => {
    const { id, key } = await api.key(['read'], {
      expires_at: new Date(Date.now() + 3600_000).toISOString(),
    });
    assert.equal((await api.by(key, 'GET', '/events')).status, 200);
    api.advance(3600_001);
    const { status, body } = await api.by(key, 'GET', '/events');
    assert.deepEqual([status, body.detail], [401, 'the key has expired']);
    assert.equal((await admin('GET', `/keys/${id}`)).body.state, 'expired');
  });

  it('a key in the cache is accepted while PostgreSQL cannot be queried; other keys are answered with 503, not 401', async () => {
    const [known, other] = [await api.key(['read']), await api.key(['read'])];
    assert.equal((await api.by(known.key, 'GET', '/session')).status, 200);
    await api.query('alter table api_keys rename to elsewhere');
    try {
      assert.equal((await api.by(known.key, 'GET', '/session')).status, 200);
      assert.equal((await api.by(other.key, 'GET', '/session')).status, 503);
    } finally {
      await api.query('alter table elsewhere rename to api_keys');
    }
    assert.equal((await api.by(other.key, 'GET', '/session')).status, 200);
  });

  it('the last use of a key is shown after it is flushed, not written by each request', async () => {
    const { id, key } = await api.key(['read']);
    await api.by(key, 'GET', '/events');
    assert.equal((await admin('GET', `/keys/${id}`)).body.last_used_at, null, 'no request writes');
    await api.door.close();
    const { last_used_at } = (await admin('GET', `/keys/${id}`)).body;
    assert.ok(Date.parse(last_used_at) > Date.now() - 60_000);
  });
});

describe('a secret', () => {
  it('a secret has 32 letters and digits, as many as a PagerDuty key, and never repeats', () => {
    const made = Array.from({ length: 500 }, () => makeSecret('key'));
    for (const secret of made) assert.match(secret, /^tk[0-9A-Za-z]{30}$/);
    assert.equal(new Set(made).size, made.length);
    const letters = new Set(made.join(''));
    assert.equal(letters.size, 62, 'every letter and digit occurs');
  });

  it('a key is not accepted as a session secret, nor a session secret as a key, nor any other text as either', () => {
    const [key, session] = [makeSecret('key'), makeSecret('session')];
    assert.ok(isSecret('key', key) && isSecret('session', session));
    assert.ok(!isSecret('key', session) && !isSecret('session', key));
    for (const text of ['', `${key}\n`, ` ${key}`, key.slice(1), `${key}0`])
      assert.ok(!isSecret('key', text), text);
  });
});
