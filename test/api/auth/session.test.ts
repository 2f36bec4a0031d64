import assert from 'node:assert/strict';
import { hashOf, makeSecret } from '../../../domain/keys/key.ts';
import { type Stage, stage } from '../stage.ts';
import { bearer, type KeyStage, keyStage } from './stage.ts';

const HOURS = 3600_000;

describe('the endpoint /session', () => {
  let api: KeyStage;
  before(async () => {
    api = await keyStage();
  });
  after(() => api.close());

  const enter = async (key: string) => {
    const answer = await api.call('POST', '/session', { key });
    const set = answer.headers.get('set-cookie') ?? '';
    return { ...answer, set, cookie: set.split(';')[0]! };
  };
  const get = (path: string, cookie: string) => api.call('GET', path, undefined, { cookie });

  it('POST /session sets a cookie that scripts cannot read and other sites cannot send', async () => {
    const { key } = await api.key(['read', 'operate'], { name: 'ada' });
    const { status, body, set, cookie, headers } = await enter(key);
    assert.equal(status, 200);
    assert.match(
      set,
      /^tocsin_session=ts[0-9A-Za-z]{46}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
    );
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.deepEqual(
      { ...body, expires_at: null },
      {
        ...{ auth: 'keys', name: 'ada', roles: ['read', 'operate'], expires_at: null },
      },
    );
    assert.equal((await get('/events', cookie)).status, 200);
    assert.equal((await get('/events', `theme=dark; ${cookie}; x=1`)).status, 200);
    assert.equal((await get('/keys', cookie)).status, 403, 'it may do what the key may');
    assert.equal((await get('/session', cookie)).body.name, 'ada');
    const rows = await api.query<{ hash: string }>('select hash from sessions');
    const token = cookie.split('=')[1]!;
    assert.ok(rows.some(({ hash }) => hash === hashOf(token)));
    assert.doesNotMatch(JSON.stringify(rows), new RegExp(token));
  });

  it('POST /session accepts the key in a header too, and refuses an invalid key', async () => {
    const { key } = await api.key(['read']);
    assert.equal((await api.call('POST', '/session', undefined, bearer(key))).status, 200);
    for (const wrong of ['', 'x', makeSecret('key'), makeSecret('session')]) {
      const { status, set } = await enter(wrong);
      assert.equal(status, 401);
      assert.equal(set, '');
    }
    assert.equal((await api.call('POST', '/session')).status, 401);
    assert.equal((await api.call('POST', '/session', { key: 'x'.repeat(201) })).status, 422);
    assert.equal((await api.call('GET', '/session')).status, 401);
  });

  it('a session that is deleted ends at once in this process', async () => {
    const { key } = await api.key(['read']);
    const { cookie } = await enter(key);
    const { cookie: other } = await enter(key);
    assert.equal((await get('/events', cookie)).status, 200);
    const ended = await api.call('DELETE', '/session', undefined, { cookie });
    assert.equal(ended.status, 204);
    assert.match(ended.headers.get('set-cookie') ?? '', /^tocsin_session=; Path=\/; Max-Age=0;/);
    assert.equal((await get('/events', cookie)).status, 401);
    assert.equal((await get('/events', other)).status, 200, 'another browser stays in');
    assert.equal((await api.call('DELETE', '/session', undefined, { cookie })).status, 204);
    assert.equal((await api.call('DELETE', '/session')).status, 204);
  });

  it('a session ends when its key is revoked', async () => {
    const { id, key } = await api.key(['read']);
    const { cookie } = await enter(key);
    assert.equal((await get('/events', cookie)).status, 200);
    await api.by(api.root, 'DELETE', `/keys/${id}`);
    assert.equal((await get('/events', cookie)).status, 401);
    assert.deepEqual(await api.query(`select 1 from sessions where key_id = '${id}'`), []);
    assert.equal((await enter(key)).status, 401);
  });

  it('a session ends with its key, and after twelve hours at the latest', async () => {
    const expires_at = new Date(Date.now() + 2 * HOURS).toISOString();
    const short = await enter((await api.key(['read'], { expires_at })).key);
    assert.equal(short.body.expires_at, expires_at);
    assert.match(short.set, /Max-Age=(71\d\d|7200);/);
    const long = await enter((await api.key(['read'])).key);
    api.advance(2 * HOURS + 1000);
    assert.equal((await get('/events', short.cookie)).status, 401);
    assert.equal((await get('/events', long.cookie)).status, 200);
    api.advance(10 * HOURS);
    assert.equal((await get('/events', long.cookie)).status, 401);
  });

  it('a page of another site cannot make changes with the session', async () => {
    const { key } = await api.key(['operate']);
    const { cookie } = await enter(key);
    const rule = { name: 'abc', threshold_count: 1, window_seconds: 1 };
    for (const origin of [
      'https://evil.example',
      'null',
      'http://localhost:3000',
      api.url.replace(/\d+$/, '1'),
    ]) {
      const { status } = await api.call('POST', '/alerts', rule, { cookie, origin });
      assert.equal(status, 403, origin);
      assert.equal((await api.call('POST', '/session', { key }, { origin })).status, 403, origin);
      assert.equal((await api.call('DELETE', '/session', undefined, { cookie, origin })).status, 403, origin);
    }
    assert.equal((await api.call('POST', '/alerts', rule, { cookie, origin: api.url })).status, 201);
  });

  it('a key has at most one hundred sessions: the oldest ones end', async () => {
    const { id, key } = await api.key(['read']);
    const first = await enter(key);
    for (let i = 0; i < 100; i++) {
      api.advance(1);
      await enter(key);
    }
    const [{ n }] = (await api.query<{ n: number }>(
      `select count(*)::int as n from sessions where key_id = '${id}'`,
    )) as [{ n: number }];
    assert.equal(n, 100);
    assert.equal((await get('/events', first.cookie)).status, 401);
  });
});

describe('the endpoint /session of an API without keys', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  it('GET /session says that no key is needed, and no cookie is set', async () => {
    for (const { status, body, headers } of [await api.get('/session'), await api.post('/session', {})]) {
      assert.equal(status, 200);
      assert.equal(body.auth, 'open');
      assert.deepEqual(body.roles, ['ingest', 'read', 'operate', 'admin']);
      assert.equal(headers.get('set-cookie'), null);
    }
  });
});

describe('a session over HTTPS', () => {
  let api: KeyStage;
  before(async () => {
    api = await keyStage({ settings: { publicUrl: 'https://tocsin.example' } });
  });
  after(() => api.close());

  it('the cookie is Secure and has the __Host- prefix', async () => {
    const { headers } = await api.call('POST', '/session', { key: api.root });
    const set = headers.get('set-cookie') ?? '';
    assert.match(
      set,
      /^__Host-tocsin_session=ts\w{46}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/,
    );
    const cookie = set.split(';')[0]!;
    assert.equal((await api.call('GET', '/events', undefined, { cookie })).status, 200);
    const tossed = cookie.replace('__Host-', '');
    assert.equal((await api.call('GET', '/events', undefined, { cookie: tossed })).status, 401);
    const ended = await api.call('DELETE', '/session', undefined, { cookie });
    assert.match(ended.headers.get('set-cookie') ?? '', /^__Host-tocsin_session=; .*Max-Age=0;.*; Secure$/);
    assert.equal((await api.call('GET', '/events', undefined, { cookie })).status, 401);
    const { body: document } = await api.get('/openapi.json');
    assert.equal(document.components.securitySchemes.session.name, '__Host-tocsin_session');
  });
});
