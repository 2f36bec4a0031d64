import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import type { Route } from '../../../api/http/route.ts';
import { makeSecret } from '../../../domain/keys/key.ts';
import { ROLES, type Role } from '../../../domain/keys/role.ts';
import { TOKEN } from '../stage.ts';
import { bearer, type KeyStage, keyStage, type MadeKey } from './stage.ts';

/**
 * Routes without a key: liveness, documentation, opening a session, and the signals of OTLP that Tocsin does
 * not support.
 */
const PUBLIC = [
  ...['get /livez', 'get /health', 'get /readyz'],
  ...['post /session', 'get /session', 'delete /session'],
  ...['post /v1/metrics', 'post /v1/traces', 'post /v1development/profiles'],
];

/** Routes whose key is in the body, where it is checked. */
const KEY_IN_BODY = ['post /v2/enqueue', 'post /v2/change/enqueue'];

const nameOf = ({ method, path }: Route) => `${method} ${path}`;

describe('roles', () => {
  let api: KeyStage;
  let keys: Record<Role, MadeKey>;
  let ended: [what: string, headers: Record<string, string>][];
  before(async () => {
    api = await keyStage();
    const made = await Promise.all(ROLES.map((role) => api.key([role])));
    keys = Object.fromEntries(ROLES.map((role, i) => [role, made[i]!])) as Record<Role, MadeKey>;
    const expired = await api.key([...ROLES], { expires_at: new Date(Date.now() + 60_000).toISOString() });
    const revoked = await api.key([...ROLES]);
    await api.by(api.root, 'DELETE', `/keys/${revoked.id}`);
    api.advance(60_001);
    ended = [
      ['no key', {}],
      ['an empty header', { authorization: '' }],
      ['another scheme', { authorization: `Basic ${keys.admin.key}` }],
      ['a scheme alone', { authorization: 'Bearer' }],
      ['two keys', { authorization: `Bearer ${keys.admin.key} ${keys.admin.key}` }],
      ['an unknown key', bearer(makeSecret('key'))],
      ['a key cut off', bearer(keys.admin.key.slice(0, -1))],
      ['an expired key', bearer(expired.key)],
      ['a revoked key', bearer(revoked.key)],
      ['a session nobody has', { cookie: `tocsin_session=${makeSecret('session')}` }],
      ['a key for a session', { cookie: `tocsin_session=${keys.admin.key}` }],
      ['a session for a key', bearer(makeSecret('session'))],
      ['a long key', bearer('tk'.padEnd(8000, 'x'))],
      ['bytes', { authorization: 'Bearer t\u00e9\u00ff\u00a0' }],
    ];
  });
  after(() => api.close());

  /** Sends a request without a body. Whether the key has the role is decided before a body is read. */
  const ask = (route: Route, headers: Record<string, string>) =>
    api.call(route.method.toUpperCase(), route.path.replaceAll(/\{\w+\}/g, randomUUID()), undefined, headers);

  it('every route requires a role, except health, documentation and sign-in', () => {
    const open = api.routes.filter(({ role }) => role === null).map(nameOf);
    assert.deepEqual(open.sort(), [...PUBLIC, ...KEY_IN_BODY].sort());
    assert.deepEqual(
      [...new Set(api.routes.map(({ role }) => role))].filter(Boolean).sort(),
      [...ROLES].sort(),
    );
  });

  it('every route refuses a request without a valid key', async () => {
    for (const route of api.routes.filter(({ role }) => role !== null)) {
      for (const [what, headers] of ended) {
        const { status, headers: answered } = await ask(route, headers);
        assert.equal(status, 401, `${nameOf(route)} with ${what}`);
        assert.match(answered.get('www-authenticate') ?? '', /^Bearer\b/);
      }
    }
  });

  it('every route refuses a key that lacks its role', async () => {
    for (const route of api.routes.filter(({ role }) => role !== null)) {
      for (const role of ROLES.filter((role) => role !== route.role)) {
        const { status, body } = await ask(route, bearer(keys[role].key));
        assert.equal(status, 403, `${nameOf(route)} by ${role}`);
        assert.match(
          String(body?.detail ?? JSON.stringify(body)),
          new RegExp(`lacks the role ${route.role}`),
          nameOf(route),
        );
      }
    }
  });

  it('every route accepts a key with its role', async () => {
    // Endless answers, and routes that require a valid body, have tests of their own.
    for (const route of api.routes.filter(
      ({ role, path }) => role !== null && !/stream|samples/.test(path),
    )) {
      const { status } = await ask(route, bearer(keys[route.role!].key));
      assert.ok(![401, 403].includes(status), `${nameOf(route)}: ${status}`);
    }
  });

  it('public routes answer any request, even one with a wrong key', async () => {
    for (const headers of [{}, bearer(makeSecret('key')), { authorization: 'nonsense' }]) {
      for (const path of ['/livez', '/health', '/readyz', '/openapi.json', '/docs']) {
        const { status } = await fetch(api.url + path, { headers });
        assert.equal(status, 200, path);
      }
    }
  });

  it('doubled, oversized and malformed Authorization headers are refused without harm', async () => {
    const { hostname, port } = new URL(api.url);
    const raw = (...lines: string[]) =>
      new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), hostname);
        let answer = '';
        socket.on('data', (chunk) => {
          answer += chunk.toString('latin1');
        });
        socket.on('error', reject);
        socket.on('close', () => resolve(answer.split('\r\n')[0]!));
        socket.write(
          ['GET /events HTTP/1.1', `Host: ${hostname}`, 'Connection: close', ...lines, '', ''].join('\r\n'),
          'latin1',
        );
      });
    const good = `Authorization: Bearer ${keys.read.key}`;
    const bad = `Authorization: Bearer ${makeSecret('key')}`;
    assert.match(await raw(good), / 200 /);
    // If there are several such headers, Node uses the first, even if a proxy used the second.
    assert.match(await raw(bad, good), / 401 /);
    assert.match(await raw(`Authorization: Bearer ${'x'.repeat(15_000)}`), / 401 /);
    assert.match(await raw(`Authorization: Bearer ${'x'.repeat(70_000)}`), / 431 /);
    assert.match(await raw(`Authorization: Bearer${' '.repeat(15_000)}x y`), / 401 /);
    assert.match(await raw(`Authorization: Bearer tk${'\xe9\xff'.repeat(15)}`), / 401 /);
    assert.match(await raw(`Cookie: ${'tocsin_session=;'.repeat(900)}`), / 401 /);
    assert.match(
      await raw(`Cookie: tocsin_session=%00\xff; tocsin_session=${makeSecret('session')}`),
      / 401 /,
    );
  });

  it('the Bearer scheme is accepted in upper and lower case, as RFC 9110 requires', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      const headers = { authorization: `${scheme} ${keys.read.key}` };
      assert.equal((await api.call('GET', '/events', undefined, headers)).status, 200);
    }
  });

  it('the ingest token is accepted at /internal/events only; a wrong token is accepted nowhere', async () => {
    const event = () => ({ source_id: 'source-1', severity: 'high', event_type: 'cpu_spike' });
    const send = async (headers: Record<string, string>, path = '/internal/events') =>
      (await api.call('POST', path, event(), headers)).status;
    assert.equal(await send({ 'x-ingest-token': TOKEN }), 201);
    assert.equal(await send(bearer(keys.ingest.key)), 201);
    assert.equal(await send({ 'x-ingest-token': 'guess' }), 401);
    assert.equal(await send({}), 401);
    assert.equal(await send({ 'x-ingest-token': TOKEN, ...bearer(keys.read.key) }), 403, 'the key decides');
    assert.equal(await send({ 'x-ingest-token': TOKEN }, '/events'), 401);
    assert.equal((await api.call('GET', '/events', undefined, { 'x-ingest-token': TOKEN })).status, 401);
  });

  it('a key in a PagerDuty body is checked like a key in a header', async () => {
    const { access } = api.door;
    assert.equal((await access.admitKey(keys.ingest.key, 'ingest')).id, keys.ingest.id);
    const refused = (key: string) => access.admitKey(key, 'ingest').then(String, ({ status }) => status);
    assert.equal(await refused(keys.read.key), 403);
    for (const key of ['', 'x', makeSecret('key'), makeSecret('session'), `${keys.ingest.key}\0`]) {
      assert.equal(await refused(key), 401);
    }
    const page = async (routing_key: string) => {
      const payload = { summary: 'disk full', source: 'web-1', severity: 'critical' };
      const event = { routing_key, event_action: 'trigger', payload };
      return (await api.call('POST', '/v2/enqueue', event)).status;
    };
    assert.equal(await page(keys.ingest.key), 202);
    assert.equal(await page(keys.read.key), 403);
    assert.equal(await page(makeSecret('key')), 401);
  });

  it('the OpenAPI document names the role that each operation requires', async () => {
    const { body: document } = await api.get('/openapi.json');
    for (const route of api.routes) {
      const { security } = document.paths[route.path][route.method];
      if (route.role === null) assert.deepEqual(security, []);
      else assert.deepEqual(security[0], { key: [route.role] });
      for (const way of security) {
        for (const scheme of Object.keys(way)) assert.ok(document.components.securitySchemes[scheme], scheme);
      }
    }
    assert.deepEqual(document.paths['/internal/events'].post.security.at(-1), { ingestToken: [] });
  });
});
