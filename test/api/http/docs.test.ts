import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type Stage, stage } from '../stage.ts';

/** The endpoints of the reference system, whose clients must work unchanged. */
const REFERENCE = [
  'post /internal/events',
  'get /events',
  'get /events/{id}',
  'get /events/source/{source_id}',
  'post /alerts',
  'get /alerts',
  'put /alerts/{id}',
  'delete /alerts/{id}',
  'get /analytics/summary',
  'get /analytics/severity-distribution',
  'get /analytics/time-series',
  'get /health',
  'get /livez',
];

describe('the OpenAPI document', () => {
  let api: Stage;
  // biome-ignore lint/suspicious/noExplicitAny: a document of any shape
  let document: any;
  before(async () => {
    api = await stage();
    document = (await api.get('/openapi.json')).body;
  });
  after(() => api.close());

  it('the document is valid OpenAPI 3.1 and has every route', () => {
    assert.match(document.openapi, /^3\.1\./);
    const documented = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item as object).map((method) => `${method} ${path}`),
    );
    assert.deepEqual(documented.sort(), api.routes.map(({ method, path }) => `${method} ${path}`).sort());
    for (const route of REFERENCE) assert.ok(documented.includes(route), route);
  });

  it('every operation has a unique id, and every path parameter is described', () => {
    const names = new Set<string>();
    // biome-ignore lint/suspicious/noExplicitAny: a document of any shape
    for (const [path, item] of Object.entries<Record<string, any>>(document.paths)) {
      for (const operation of Object.values(item)) {
        assert.ok(operation.summary && operation.tags.length === 1, path);
        assert.ok(!names.has(operation.operationId), operation.operationId);
        names.add(operation.operationId);
        const inPath = (operation.parameters ?? []).filter((p: { in: string }) => p.in === 'path');
        const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        assert.deepEqual(
          inPath.map((p: { name: string }) => p.name),
          wanted,
          path,
        );
        assert.ok(inPath.every((p: { required: boolean }) => p.required));
      }
    }
  });

  it('every reference in the document resolves', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, at]) => at!);
    assert.ok(references.length > 20);
    for (const reference of new Set(references)) {
      const found = reference.split('/').reduce((at, key) => at?.[key], document);
      assert.ok(found, reference);
    }
  });

  it('the document has the limits, defaults and required fields that requests are validated with', () => {
    const parameters = document.paths['/events'].get.parameters as {
      name: string;
      schema: object;
      required?: boolean;
    }[];
    const limit = parameters.find(({ name }) => name === 'limit')!;
    assert.deepEqual(limit.schema, { type: 'integer', minimum: 1, maximum: 200, default: 50 });
    assert.ok(!limit.required);
    const { RuleInput, Problem } = document.components.schemas;
    assert.deepEqual(RuleInput.required, ['name']);
    assert.deepEqual(Problem.required, ['type', 'title', 'status', 'detail']);
    const ingest = document.paths['/internal/events'].post;
    assert.ok(ingest.requestBody.required);
    assert.deepEqual(Object.keys(ingest.responses).sort(), [
      '200',
      '201',
      '400',
      '401',
      '403',
      '408',
      '413',
      '415',
      '422',
      '429',
      '503',
    ]);
  });

  it('/docs shows Swagger UI without loading anything from other hosts', async () => {
    const response = await fetch(`${api.url}/docs`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'self'/);
    const page = await response.text();
    assert.doesNotMatch(page, /https?:\/\/|\/\/[a-z]/);
    const assets = [...page.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path]) => path!);
    assert.equal(assets.length, 4);
    for (const path of assets) {
      const asset = await fetch(api.url + path);
      assert.equal(asset.status, 200, path);
      assert.ok((await asset.arrayBuffer()).byteLength > 50, path);
    }
  });

  it('the Content-Security-Policy of /docs allows only the script of that page', async () => {
    const response = await fetch(`${api.url}/docs`);
    const policy = response.headers.get('content-security-policy') ?? '';
    const [scripts] = /script-src [^;]*/.exec(policy) ?? [''];
    assert.doesNotMatch(scripts, /unsafe/);
    const inline = [...(await response.text()).matchAll(/<script>([\s\S]*?)<\/script>/g)];
    assert.equal(inline.length, 1);
    const hash = createHash('sha256').update(inline[0]![1]!).digest('base64');
    assert.ok(scripts.includes(`'sha256-${hash}'`), scripts);
    assert.match(policy, /frame-ancestors 'none'/);
  });

  it('/ redirects to /docs, and no other file of the Swagger package is served', async () => {
    const root = await api.get('/');
    assert.deepEqual([root.status, root.headers.get('location')], [302, '/docs']);
    for (const path of ['/docs/package.json', '/docs/..%2fpackage.json', '/docs/a/b', '/docs/constructor']) {
      assert.equal((await api.get(path)).status, 404, path);
    }
  });
});

describe('every route', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  it('a method that the route does not have is answered with 405 and an Allow header', async () => {
    for (const path of new Set(api.routes.map((route) => route.path))) {
      const concrete = path.replaceAll(/\{\w+\}/g, '00000000-0000-0000-0000-000000000000');
      const { status, headers } = await api.call('PATCH', concrete);
      assert.equal(status, 405, path);
      const methods = api.routes
        .filter((route) => route.path === path)
        .map(({ method }) => method.toUpperCase());
      for (const method of methods) assert.match(headers.get('allow') ?? '', new RegExp(`\\b${method}\\b`));
      assert.equal((await api.call('OPTIONS', concrete)).status, 204);
    }
  });

  it('hostile ids, queries and bodies are answered with a 4xx, never a 500', async () => {
    const ids = [
      '%00',
      '%ff',
      '..%2f..',
      "'%20or%201=1--",
      'x'.repeat(5000),
      '%F0%9F%92%A5',
      '__proto__',
      '-1',
      '1e999',
    ];
    const bodies = [
      'null',
      '[]',
      '"x"',
      '1e999',
      '{"__proto__":{"a":1}}',
      `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
      '{"a":"\\u0000"}',
    ];
    for (const route of api.routes.filter(({ path }) => path !== '/samples')) {
      for (const id of /\{/.test(route.path) ? ids : ['']) {
        const path = route.path.replaceAll(/\{\w+\}/g, id);
        const query =
          'limit=%00&cursor=%00&from=%00&label=%00&severity=%00&step=%00&state=%00&constructor=1&__proto__=1';
        for (const body of route.body ? bodies : [undefined]) {
          const { status } = await api.call(route.method.toUpperCase(), `${path}?${query}`, body, {
            'x-ingest-token': 'a-token-of-our-own',
          });
          assert.ok(
            status < 500 || (status === 503 && !route.body),
            `${route.method} ${path} ${body}: ${status}`,
          );
        }
      }
    }
  });

  it('HEAD is answered where GET is, and an unknown path with 404', async () => {
    assert.equal((await api.call('HEAD', '/health')).status, 200);
    for (const path of ['/nope', '/events/', '//', '/events/a/b/c', '/.env']) {
      assert.ok([200, 404].includes((await api.get(path)).status), path);
    }
  });

  it('changes from pages of other sites are refused', async () => {
    const rule = { name: 'abc', threshold_count: 1, window_seconds: 1 };
    for (const origin of ['https://evil.example', 'null']) {
      assert.equal((await api.call('POST', '/alerts', rule, { origin })).status, 403);
      assert.equal((await api.call('GET', '/alerts', undefined, { origin })).status, 200);
    }
    assert.equal((await api.call('POST', '/alerts', rule, { origin: api.url })).status, 201);
    assert.equal((await api.call('POST', '/alerts', rule, { origin: 'http://127.0.0.1:8000' })).status, 201);
  });
});
