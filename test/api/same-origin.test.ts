import assert from 'node:assert/strict';
import { request } from 'node:http';
import { type Stage, stage } from './stage.ts';

describe('an API without keys', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  /** `fetch` decides itself what Host it sends. */
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

  it('answers no name but its own, by any method on any path: a name may be made to mean this machine', async () => {
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

  it('answers loopback by each of its names', async () => {
    for (const host of ['localhost:8000', '127.0.0.1', '[::1]:8000', 'LOCALHOST']) {
      assert.equal(await ask('GET', '/events', host), 200, host);
    }
  });

  it('takes changes from no other site’s page, on any route', async () => {
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
