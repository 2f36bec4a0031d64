import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { pino } from 'pino';
import { waitFor } from '../../support/wait-for.ts';
import { type Stage, stage } from '../stage.ts';

describe('the security headers of every answer', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  const ID = '00000000-0000-0000-0000-000000000000';

  it('no browser may cache, frame, sniff or embed any answer, whether it succeeds or fails', async () => {
    const asked: [method: string, path: string][] = [
      ...api.routes
        .filter(({ path }) => !/stream/.test(path))
        .map(({ method, path }): [string, string] => [method.toUpperCase(), path.replaceAll(/\{\w+\}/g, ID)]),
      ...[
        '/',
        '/docs',
        '/docs/start.js',
        '/docs/swagger-ui.css',
        '/openapi.json',
        '/nothing',
        '/docs/nothing',
      ].map((path): [string, string] => ['GET', path]),
      ['PATCH', '/events'],
      ['OPTIONS', '/events'],
      ['GET', '/events?limit=none'],
    ];
    for (const [method, path] of asked) {
      const { headers } = await fetch(api.url + path, { method, redirect: 'manual' });
      const what = `${method} ${path}`;
      assert.equal(headers.get('x-content-type-options'), 'nosniff', what);
      assert.equal(headers.get('cache-control'), 'no-store', what);
      assert.equal(headers.get('x-frame-options'), 'DENY', what);
      assert.equal(headers.get('referrer-policy'), 'no-referrer', what);
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', what);
      assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/, what);
      assert.equal(headers.get('strict-transport-security'), null, what);
    }
  });

  it('no answer may run scripts, except the documentation page with scripts from its own origin', async () => {
    const policy = async (path: string) =>
      (await fetch(api.url + path)).headers.get('content-security-policy') ?? '';
    assert.match(await policy('/events'), /^default-src 'none'/);
    assert.match(await policy('/docs'), /^default-src 'self'/);
    assert.doesNotMatch(await policy('/docs'), /https?:|\*|unsafe-eval|script-src[^;]*unsafe/);
  });

  it('answers over HTTPS have Strict-Transport-Security', async () => {
    const secure = await stage({
      change: ({ settings }) => ({ settings: { ...settings, publicUrl: 'https://tocsin.example' } }),
    });
    try {
      const { headers } = await fetch(`${secure.url}/health`);
      assert.match(headers.get('strict-transport-security') ?? '', /^max-age=\d{8}/);
    } finally {
      await secure.close();
    }
  });
});

describe('aborted connections', () => {
  it('an aborted connection is logged in one line without a stack', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
    const api = await stage({ change: () => ({ log }) });
    try {
      const { hostname, port } = new URL(api.url);
      const breakOff = () =>
        new Promise<void>((resolve, reject) => {
          const socket = connect(Number(port), hostname, () => {
            socket.write(
              'POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
              () => {
                socket.resetAndDestroy();
                resolve();
              },
            );
          });
          socket.on('error', reject);
        });
      for (let i = 0; i < 20; i++) await breakOff();
      const counted = async () =>
        Number(
          /tocsin_http_request_duration_seconds_count\{[^}]*route="\/events",status="4xx"[^}]*\} (\d+)/.exec(
            String((await api.get('/metrics')).body),
          )?.[1] ?? 0,
        );
      await waitFor(async () => (await counted()) >= 20, { what: 'all twenty to be noticed' });
      assert.ok(lines.length <= 2, lines.join(''));
      assert.doesNotMatch(lines.join(''), /stack|\.ts:\d|node:/);
    } finally {
      await api.close();
    }
  });
});
