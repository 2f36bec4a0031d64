import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { waitFor } from '../../support/wait-for.ts';
import { type Stage, stage } from '../stage.ts';

const EVENTS = 50_000;

describe('GET /events/export', () => {
  let api: Stage;
  const noon = Date.now() - 3_600_000;
  before(async () => {
    api = await stage();
    await api.send({
      ...{ source_id: '=cmd|x', severity: 'high', event_type: 'quote " and, comma' },
      ...{ timestamp: new Date(noon - 86_400_000).toISOString(), payload: { text: 'ü\n"' } },
    });
    await api.query(`insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
      select gen_random_uuid(), to_timestamp(${noon} / 1000.0 + i / 100), 'many', 'info', 'tick', jsonb_build_object('i', i), now()
      from generate_series(1, ${EVENTS}) i`);
  });
  after(() => api.close());

  const download = (path: string, headers: Record<string, string> = {}) =>
    new Promise<{ response: IncomingMessage; body: Buffer }>((resolve, reject) => {
      get(`${api.url}${path}`, { headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ response, body: Buffer.concat(chunks) }));
      }).on('error', reject);
    });
  const lines = (body: Buffer) =>
    body
      .toString()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));

  it('contains every event once, oldest first, with constant memory', async () => {
    const before = process.memoryUsage().heapUsed;
    const { response, body } = await download('/events/export');
    assert.equal(response.headers['content-type'], 'application/x-ndjson');
    const events = lines(body);
    assert.equal(events.length, EVENTS + 1);
    assert.equal(new Set(events.map(({ id }) => id)).size, EVENTS + 1);
    const times = events.map(({ timestamp }) => timestamp);
    assert.deepEqual(times, times.toSorted());
    assert.ok(process.memoryUsage().heapUsed - before < 300e6);
  });

  it('accepts the filters of the list, and a time range', async () => {
    const count = async (query: string) => lines((await download(`/events/export?${query}`)).body).length;
    assert.equal(await count('severity=high'), 1);
    assert.equal(await count('source_id=nobody'), 0);
    assert.equal(await count('payload.i=777'), 1);
    assert.equal(await count('payload.i=none'), 0);
    const from = new Date(noon + 2000).toISOString();
    const to = new Date(noon + 4000).toISOString();
    assert.equal(await count(`from=${from}&to=${to}`), 200);
    assert.equal((await api.get('/events/export?format=xls')).status, 422);
  });

  it('writes CSV without formulas, if requested by format or Accept', async () => {
    for (const [query, headers] of [
      ['?format=csv&severity=high', {}],
      ['?severity=high', { accept: 'text/csv' }],
    ] as const) {
      const { response, body } = await download(`/events/export${query}`, headers);
      assert.equal(response.headers['content-type'], 'text/csv');
      const [heading, row] = body.toString().split('\n');
      assert.equal(heading, 'event_id,source_id,timestamp,severity,event_type,payload');
      assert.match(
        row!,
        /^[0-9a-f-]{36},"'=cmd\|x",[^,]+Z,high,"quote "" and, comma","\{""text"":""ü\\n\\""""\}"$/,
      );
    }
  });

  for (const [accept, type] of [
    ['text/csv;q=0', 'application/x-ndjson'],
    ['text/csv;q=0.5, application/x-ndjson', 'application/x-ndjson'],
    ['text/csv, application/x-ndjson;q=0.5', 'text/csv'],
    ['text/*', 'text/csv'],
    ['TEXT/CSV;header=present, */*;q=0.1', 'text/csv'],
    ['text/csv; charset=utf-8', 'text/csv'],
    ['text/html, */*;q=0.8', 'application/x-ndjson'],
    ['text/csv-schema', 'application/x-ndjson'],
    ['image/png', 'application/x-ndjson'],
    ['', 'application/x-ndjson'],
  ] as const) {
    it(`is ${type} for clients that accept "${accept}"`, async () => {
      const { response } = await download('/events/export?severity=high', { accept });
      assert.equal(response.headers['content-type'], type);
    });
  }

  for (const [codings, coding] of [
    ['gzip;q=0, *', undefined],
    ['*', 'gzip'],
    ['*;q=0', undefined],
    ['identity, gzip;q=0.5', undefined],
    ['GZIP', 'gzip'],
    ['br', undefined],
    ['', undefined],
  ] as const) {
    it(`is ${coding ?? 'not compressed'} for clients that accept the codings "${codings}"`, async () => {
      const { response } = await download('/events/export?severity=high', { 'accept-encoding': codings });
      assert.equal(response.headers['content-encoding'], coding);
    });
  }

  it('is compressed for clients that accept gzip', async () => {
    const plain = await download('/events/export');
    const { response, body } = await download('/events/export', { 'accept-encoding': 'br, gzip;q=0.5' });
    assert.equal(response.headers['content-encoding'], 'gzip');
    assert.ok(body.length < plain.body.length / 3);
    assert.ok(gunzipSync(body).equals(plain.body));
    const refused = await download('/events/export?severity=high', { 'accept-encoding': 'gzip;q=0' });
    assert.equal(refused.response.headers['content-encoding'], undefined);
  });

  it('reads only as fast as its client, and stops when the client is gone', async () => {
    const pages = async () =>
      (
        await api.query<{ n: number }>(
          `select count(*)::int as n from pg_stat_activity where datname = current_database() and state = 'active' and query like '%order by events.occurred_at asc%' and pid <> pg_backend_pid()`,
        )
      )[0]!.n;
    const request = get(`${api.url}/events/export`);
    const response = await new Promise<IncomingMessage>((resolve) => request.once('response', resolve));
    response.pause();
    await waitFor(async () => (await pages()) === 0, { what: 'the export to wait' });
    request.destroy();
    await waitFor(async () => (await pages()) === 0, { what: 'the export to end' });
  });

  for (const encoding of ['identity', 'gzip']) {
    it(`breaks the connection if it fails midway, ${encoding}, so that no part looks complete`, async () => {
      const failing = await stage();
      try {
        await failing.query(`insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
          select gen_random_uuid(), to_timestamp(${noon} / 1000.0 + i / 100), 'many', 'info', 'tick', jsonb_build_object('text', repeat(md5(i::text), 30)), now()
          from generate_series(1, 20000) i`);
        const request = get(`${failing.url}/events/export`, { headers: { 'accept-encoding': encoding } });
        const response = await new Promise<IncomingMessage>((resolve) => request.once('response', resolve));
        response.pause();
        await failing.query('alter table events rename to events_gone');
        response.resume();
        await assert.rejects(
          new Promise((resolve, reject) => response.on('end', resolve).on('error', reject)),
          /aborted|ECONNRESET/,
        );
        assert.equal(response.complete, false);
      } finally {
        await failing.close();
      }
    });
  }

  it('answers an error if it cannot begin', async () => {
    const failing = await stage();
    try {
      await failing.query('alter table events rename to events_gone');
      assert.equal((await fetch(`${failing.url}/events/export`)).status, 500);
    } finally {
      await failing.close();
    }
  });
});
