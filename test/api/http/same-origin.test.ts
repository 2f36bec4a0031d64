import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { bearer, keyStage } from '../auth/stage.ts';
import { type Stage, stage } from '../stage.ts';

describe('an API without keys', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  /** A raw request, because `fetch` sets Host itself. */
  const ask = (method: string, path: string, host: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(api.url);
      const asked = request({ hostname, port, method, path, headers: { host } }, (response) => {
        response.resume();
        response.on('close', () => resolve(response.statusCode!));
      });
      asked.on('error', reject);
      asked.end();
    });

  it('requests under any other host name are refused on every route, as protection from DNS rebinding', async () => {
    const paths = api.routes.map(({ method, path }) => [method.toUpperCase(), path] as const);
    const others = [
      ...['/', '/docs', '/docs/start.js', '/openapi.json', '/nothing'].map((path) => ['GET', path] as const),
      ...['HEAD', 'OPTIONS', 'PATCH'].map((method) => [method, '/events'] as const),
    ];
    for (const [method, path] of [...paths, ...others]) {
      const concrete = path.replaceAll(/\{\w+\}/g, '00000000-0000-0000-0000-000000000000');
      for (const host of [
        'evil.example',
        'evil.example:8000',
        'localhost.evil.example',
        '127.0.0.1.evil.example',
      ]) {
        assert.equal(await ask(method, concrete, host), 403, `${method} ${path} of ${host}`);
      }
    }
  });

  it('localhost, 127.0.0.1 and [::1] are accepted as host names', async () => {
    for (const host of ['localhost:8000', '127.0.0.1', '[::1]:8000', 'LOCALHOST']) {
      assert.equal(await ask('GET', '/events', host), 200, host);
    }
  });

  it('changes from pages of other sites are refused on every route', async () => {
    for (const { method, path } of api.routes.filter((route) => route.method !== 'get')) {
      const concrete = path.replaceAll(/\{\w+\}/g, '00000000-0000-0000-0000-000000000000');
      for (const origin of ['https://evil.example', 'null', 'http://localhost:3000']) {
        const { status } = await fetch(api.url + concrete, {
          method: method.toUpperCase(),
          headers: { origin },
        });
        assert.equal(status, 403, `${method} ${path} from ${origin}`);
      }
    }
  });
});

describe('an API without keys behind a proxy', () => {
  const MARKS = ['Forwarded', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Real-IP', 'Via'];
  const through = (api: Stage, path: string, mark: string, method = 'GET') =>
    fetch(api.url + path, { method, headers: { [mark]: '203.0.113.9' } });

  it('requests that came through an unknown proxy are refused, and the answer says what to configure', async () => {
    const api = await stage();
    try {
      for (const mark of MARKS) {
        const response = await through(api, '/events', mark);
        assert.equal(response.status, 403, mark);
        assert.match(await response.text(), /set AUTH=keys, or list the proxy in TRUSTED_PROXIES/);
      }
      for (const { method, path } of api.routes) {
        const concrete = path.replaceAll(/\{\w+\}/g, '00000000-0000-0000-0000-000000000000');
        const { status } = await through(api, concrete, 'X-Forwarded-For', method.toUpperCase());
        assert.equal(status, 403, `${method} ${path}`);
      }
      for (const path of ['/', '/docs', '/openapi.json']) {
        assert.equal((await through(api, path, 'Via')).status, 403, path);
      }
    } finally {
      await api.close();
    }
  });

  it('requests through nginx with its default settings, which adds no header, are refused', async () => {
    const api = await stage();
    try {
      const { hostname, port, host } = new URL(api.url);
      const answer = await new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), hostname);
        socket.on('error', reject).once('data', (chunk) => {
          socket.destroy();
          resolve(String(chunk));
        });
        socket.write(`GET /events HTTP/1.0\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      });
      assert.match(answer, /^HTTP\/1.1 403 /);
    } finally {
      await api.close();
    }
  });

  it('requests through a proxy that is trusted to authenticate people are accepted', async () => {
    const api = await stage({ proxies: ['127.0.0.1'] });
    try {
      for (const mark of MARKS) assert.equal((await through(api, '/events', mark)).status, 200, mark);
    } finally {
      await api.close();
    }
    const other = await stage({ proxies: ['10.0.0.0/8'] });
    try {
      assert.equal((await through(other, '/events', 'X-Forwarded-For')).status, 403);
    } finally {
      await other.close();
    }
  });

  it('an API that requires keys accepts requests through any proxy', async () => {
    const api = await keyStage();
    try {
      const headers = { ...bearer(api.root), 'x-forwarded-for': '203.0.113.9', via: '1.1 proxy' };
      assert.equal((await api.call('GET', '/events', undefined, headers)).status, 200);
    } finally {
      await api.close();
    }
  });
});
