import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Stage, stage } from '../stage.ts';

describe('POST /ingest/json/{mapping}', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  const seconds = () => Date.now() / 1000;
  const ship = (mapping: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
    api.call('POST', `/ingest/json/${mapping}`, body, headers);
  const stored = (source: string) =>
    api.query<{ event_type: string; severity: string; payload: Record<string, unknown> }>(
      `select event_type, severity, payload from events where source_id = '${source}' order by occurred_at, payload->>'n'`,
    );

  describe('from Fluent Bit', () => {
    const record = (host: string, n: number) => ({ date: seconds(), host, n, level: 'warn', log: 'm' });
    for (const [format, type, join] of [
      ['json', 'application/json', (texts: string[]) => `[${texts}]`],
      ['json_lines', 'application/x-ndjson', (texts: string[]) => `${texts.join('\n')}\n`],
      ['json_stream', 'application/json', (texts: string[]) => texts.join('')],
    ] as const) {
      it(`takes what out_http sends as ${format}, gzip or zstd`, async () => {
        const host = `fb-${format}`;
        const texts = [1, 2, 3].map((n) => JSON.stringify(record(host, n)));
        const body = gzipSync(join(texts.slice(0, 2)));
        const { status, body: answer } = await ship('fluent-bit', body, {
          'content-type': type,
          'content-encoding': 'gzip',
          'user-agent': 'Fluent-Bit',
        });
        assert.equal(status, 200);
        assert.deepEqual(answer, { stored: 2, duplicate: 0, invalid: 0, results: [] });
        const zstd = { 'content-type': type, 'content-encoding': 'zstd' };
        assert.equal((await ship('fluent-bit', zstdCompressSync(join(texts.slice(2))), zstd)).status, 200);
        const events = await stored(host);
        assert.deepEqual(
          events.map(({ payload }) => payload.n),
          [1, 2, 3],
        );
        assert.deepEqual(new Set(events.map(({ severity }) => severity)), new Set(['medium']));
      });
    }
  });

  it('takes what Vector’s http sink sends: an array, or lines', async () => {
    const record = (n: number) =>
      JSON.stringify({
        host: 'vector-1',
        message: 'm',
        n,
        severity: 'err',
        timestamp: new Date().toISOString(),
      });
    assert.equal((await ship('vector', `[${record(1)},${record(2)}]`)).body.stored, 2);
    const lines = { 'content-type': 'application/x-ndjson' };
    assert.equal((await ship('vector', `${record(3)}\n${record(4)}`, lines)).body.stored, 2);
    assert.deepEqual(
      (await stored('vector-1')).map(({ payload }) => payload.n),
      [1, 2, 3, 4],
    );
  });

  it('takes what syslog-ng’s http() sends: one a request, or batched lines, whatever it calls them', async () => {
    const record = (n: number) =>
      JSON.stringify({
        PROGRAM: 'sshd',
        PRIORITY: 'err',
        MESSAGE: 'm',
        ISODATE: new Date().toISOString(),
        HOST: 'ng-1',
        n,
      });
    for (const [body, type] of [
      [record(1), 'text/plain'],
      [`${record(2)}\n${record(3)}`, 'application/x-www-form-urlencoded'],
      [`[${record(4)},${record(5)}]`, 'application/json'],
    ] as const) {
      assert.equal((await ship('syslog-ng', body, { 'content-type': type })).status, 200);
    }
    const events = await stored('ng-1');
    assert.deepEqual(
      events.map(({ payload }) => payload.n),
      [1, 2, 3, 4, 5],
    );
    assert.deepEqual(events[0]!.event_type, 'sshd');
  });

  it('takes NDJSON from curl', async () => {
    const curl = spawn('curl', [
      ...['-sS', '-H', 'content-type: application/x-ndjson', '--data-binary', '@-'],
      `${api.url}/ingest/json/vector`,
    ]);
    for (let n = 0; n < 500; n++) {
      curl.stdin.write(`${JSON.stringify({ host: 'curl-1', n, timestamp: new Date().toISOString() })}\n`);
    }
    curl.stdin.end();
    let answer = '';
    curl.stdout.on('data', (data) => {
      answer += data;
    });
    await once(curl, 'close');
    assert.equal(JSON.parse(answer).stored, 500);
    assert.equal((await stored('curl-1')).length, 500);
  });

  it('stores the good records of a body with bad ones, and says which were bad and why', async () => {
    const good = JSON.stringify({ host: 'mixed', timestamp: new Date().toISOString() });
    const { status, body } = await ship(
      'vector',
      `[${good}, 5, {"host":"mixed","timestamp":"noon"}, ${good}, {"a":}, ${good}`,
    );
    assert.equal(status, 200);
    assert.deepEqual([body.stored, body.invalid], [3, 4]);
    assert.deepEqual(
      body.results.map(({ index, errors }: { index: number; errors: { reason: string }[] }) => [
        index,
        errors[0]!.reason,
      ]),
      [
        [1, 'must be an object'],
        [2, 'Invalid ISO datetime'],
        [4, 'the item is not JSON'],
        [6, 'the item is missing: the array does not end'],
      ],
    );
  });

  it('refuses with 422 a body of which nothing can be taken, and with 404 a mapping that is none', async () => {
    const bad = await ship('vector', 'no JSON at all');
    assert.equal(bad.status, 422);
    assert.deepEqual(bad.body.errors[0], { field: '0', reason: 'the item is not JSON' });
    assert.equal((await ship('nobody', '{}')).status, 404);
    assert.equal((await ship('constructor', '{}')).status, 404);
  });

  it('answers an empty body with nothing stored', async () => {
    assert.deepEqual((await ship('vector', '')).body, { stored: 0, duplicate: 0, invalid: 0, results: [] });
  });

  it('stores a request that is sent again under its Idempotency-Key once', async () => {
    const body = JSON.stringify(
      [1, 2].map((n) => ({ host: 'again', n, date: 1 + Math.floor(seconds()) - 10 })),
    );
    const key = { 'idempotency-key': 'batch-17' };
    for (let i = 0; i < 2; i++) assert.equal((await ship('fluent-bit', body, key)).body.stored, 2);
    assert.equal((await stored('again')).length, 2);
  });

  it('shows with dry_run what would be stored, and stores nothing', async () => {
    const records = [
      { host: 'dry', level: 'fatal', date: 1, n: 1 },
      { host: 'dry', level: 'fatal', n: 2 },
      5,
    ];
    const { status, body } = await ship('fluent-bit?dry_run=true', JSON.stringify(records));
    assert.equal(status, 200);
    assert.deepEqual(body.results[0], {
      index: 0,
      errors: [{ field: 'timestamp', reason: 'older than events are kept' }],
    });
    assert.equal(body.results[1].event.severity, 'critical');
    assert.deepEqual(body.results[1].event.payload, records[1]);
    assert.deepEqual(body.results[2], { index: 2, errors: [{ field: '', reason: 'must be an object' }] });
    assert.deepEqual(await stored('dry'), []);
  });
});

describe('mappings', () => {
  let api: Stage;
  let now = Date.now();
  before(async () => {
    api = await stage({ change: () => ({ clock: () => now }) });
  });
  after(() => api.close());

  const given = {
    name: 'nginx',
    source: 'vhost',
    type: ['kind', 'http.method'],
    severity: 'lvl',
    time: 'ts',
  };
  const ship = (name: string) =>
    api.post(`/ingest/json/${name}`, { vhost: 'example.com', lvl: 'BAD', ts: now, http: { method: 'GET' } });

  it('are made, listed after the built-in ones, read, replaced and removed', async () => {
    const made = await api.post('/mappings', { ...given, severities: { Bad: 'critical' } });
    assert.equal(made.status, 201);
    assert.equal(made.headers.get('location'), '/mappings/nginx');
    assert.deepEqual(made.body.source, ['vhost']);
    assert.deepEqual(made.body.severities, { bad: 'critical' });
    const { body: list } = await api.get('/mappings');
    assert.deepEqual(
      list.map(({ name }: { name: string }) => name),
      ['fluent-bit', 'vector', 'syslog-ng', 'nginx'],
    );
    assert.deepEqual((await api.get('/mappings/nginx')).body, made.body);
    assert.equal((await api.get('/mappings/vector')).body.built_in, true);

    assert.equal((await ship('nginx')).status, 200);
    const { body: events } = await api.get('/events?source_id=example.com');
    assert.deepEqual([events[0].severity, events[0].event_type], ['critical', 'GET']);

    const { name: _, ...changed } = { ...given, defaults: { type: 'request' }, type: [] };
    const { status, body } = await api.put('/mappings/nginx', changed);
    assert.equal(status, 200);
    assert.deepEqual(body.severities, {});
    await ship('nginx');
    assert.equal((await api.get('/events?event_type=request')).body.length, 1);

    assert.equal((await api.delete('/mappings/nginx')).status, 204);
    assert.equal((await ship('nginx')).status, 404);
    for (const call of [
      api.get('/mappings/nginx'),
      api.put('/mappings/nginx', changed),
      api.delete('/mappings/nginx'),
    ]) {
      assert.equal((await call).status, 404);
    }
  });

  it('that are changed by another process count within 5 seconds', async () => {
    await api.post('/mappings', { ...given, name: 'elsewhere' });
    assert.equal((await ship('elsewhere')).status, 200);
    await api.query(`delete from mappings where name = 'elsewhere'`);
    assert.equal((await ship('elsewhere')).status, 200);
    now += 5_000;
    assert.equal((await ship('elsewhere')).status, 404);
  });

  it('have a name of their own', async () => {
    assert.equal((await api.post('/mappings', { ...given, name: 'twice' })).status, 201);
    assert.equal((await api.post('/mappings', { ...given, name: 'twice' })).status, 409);
    for (const call of [
      api.post('/mappings', { ...given, name: 'vector' }),
      api.put('/mappings/vector', {}),
      api.delete('/mappings/vector'),
    ]) {
      assert.equal((await call).status, 409);
    }
  });

  for (const [what, changes] of [
    ['a name that does not fit into a path', { name: 'a/b' }],
    ['no name', { name: undefined }],
    ['an unknown time format', { time_format: 'lunar' }],
    ['an empty path', { source: [''] }],
    ['a severity that is too long', { severities: { a: 'x'.repeat(33) } }],
    [
      'too many names of severities',
      { severities: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [i, 'low'])) },
    ],
    ['a default source that no event could have', { defaults: { source: 'ab' } }],
  ] as const) {
    it(`are refused for ${what}`, async () => {
      assert.equal((await api.post('/mappings', { ...given, name: 'bad', ...changes })).status, 422);
    });
  }
});
