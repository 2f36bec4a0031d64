import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { waitFor } from '../../support/wait-for.ts';
import { type Answer, type Stage, stage } from '../stage.ts';
import { event, lines, NDJSON } from './batch.ts';

const anonymous = (payload: object) => ({ ...event({ payload }), event_id: undefined });

const counts = ({ body: { stored, duplicate, invalid } }: Answer) => ({ stored, duplicate, invalid });

describe('POST /events', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());
  beforeEach(() => api.query('truncate events, event_ids, event_rollups'));

  const post = (body: unknown, headers: Record<string, string> = {}) =>
    api.call('POST', '/events', body, headers);
  const stored = async () => (await api.query<{ n: number }>('select count(*)::int as n from events'))[0]!.n;

  describe('with one event', () => {
    it('answers a new event with 201, and one that was stored before with 200', async () => {
      const one = event();
      assert.equal((await post(one)).status, 201);
      const again = await post({ ...one, severity: 'high' });
      assert.equal(again.status, 200);
      assert.equal(again.body.severity, 'low');
      assert.equal((await post({ ...one, severity: 7 })).status, 422);
    });
  });

  describe('with an array', () => {
    it('returns a result for each item, and stores the valid ones', async () => {
      const known = event();
      await post(known);
      const twice = event();
      const answer = await post([known, event({ source_id: 'x' }), twice, 5, twice]);
      assert.equal(answer.status, 200);
      assert.deepEqual(counts(answer), { stored: 1, duplicate: 2, invalid: 2 });
      const { results } = answer.body;
      assert.deepEqual(
        results.map(({ status }: { status: string }) => status),
        ['duplicate', 'invalid', 'stored', 'invalid', 'duplicate'],
      );
      assert.deepEqual([results[1].index, results[1].errors[0].field], [1, 'source_id']);
      assert.equal(results[2].event_id, twice.event_id);
      assert.equal(await stored(), 2);
    });

    it('accepts an empty array', async () => {
      assert.deepEqual((await post([])).body, { stored: 0, duplicate: 0, invalid: 0, results: [] });
    });

    it('fails if no item can be stored, and names items and fields', async () => {
      const { status, body } = await post([event({ severity: '' }), null]);
      assert.equal(status, 422);
      assert.deepEqual(
        body.errors.map(({ field }: { field: string }) => field),
        ['0.severity', '1'],
      );
    });

    it('stores 10,000 events and refuses more than that, or more than 5 MiB', async () => {
      const many = Array.from({ length: 10_000 }, (_, i) => event({ payload: { i } }));
      assert.deepEqual(counts(await post(many)), { stored: 10_000, duplicate: 0, invalid: 0 });
      assert.equal((await post([...many, event()])).status, 413);
      assert.equal(
        (await post(many.map((item) => ({ ...item, payload: { x: 'x'.repeat(600) } })))).status,
        413,
      );
      assert.equal(await stored(), 10_000);
    });
  });

  describe('with NDJSON', () => {
    it('stores each line, and lists the refused ones by position', async () => {
      const body = `${lines([event(), event()])}\n{"source_id":\n"text"\n${lines([event({ severity: 1 })])}${JSON.stringify(event())}`;
      const answer = await post(body, NDJSON);
      assert.deepEqual(counts(answer), { stored: 3, duplicate: 0, invalid: 3 });
      assert.deepEqual(
        answer.body.results.map(({ index }: { index: number }) => index),
        [3, 4, 5],
      );
      assert.equal(await stored(), 3);
    });

    it('accepts its media types, Windows line ends, and an empty body', async () => {
      for (const type of ['application/ndjson', 'application/jsonl; charset=utf-8']) {
        const body = `${JSON.stringify(event())}\r\n${JSON.stringify(event())}\r\n`;
        assert.equal((await post(body, { 'content-type': type })).body.stored, 2);
      }
      assert.equal((await post('', NDJSON)).status, 200);
    });

    it('stores the other lines if one is too long, and repairs one that is not UTF-8', async () => {
      const broken = Buffer.from(lines([event({ source_id: 'source-?' })]));
      broken[broken.indexOf('?')] = 0xff;
      const long = lines([event({ payload: { text: 'x'.repeat(300_000) } })]);
      const parts = [lines([event()]), broken, lines([event()]), long, lines([event()])];
      const answer = await post(Buffer.concat(parts.map((part) => Buffer.from(part))), NDJSON);
      assert.deepEqual(counts(answer), { stored: 4, duplicate: 0, invalid: 1 });
      const reasons = answer.body.results.map(
        ({ errors }: { errors: { reason: string }[] }) => errors[0]!.reason,
      );
      assert.deepEqual(reasons, ['the line is longer than 262144 bytes']);
    });

    it('lists the first 1,000 refused lines, and counts all', async () => {
      const answer = await post(`${lines([event()])}${'{}\n'.repeat(3000)}`, NDJSON);
      assert.equal(answer.body.invalid, 3000);
      const places = answer.body.results.map(({ index }: { index: number }) => index);
      assert.deepEqual(
        places,
        Array.from({ length: 1000 }, (_, i) => i + 1),
      );
    });

    it('fails if no line can be stored', async () => {
      assert.equal((await post('{}\n{}\n', NDJSON)).status, 422);
    });

    it('is stored while it is received', async () => {
      const { hostname, port } = new URL(api.url);
      const sending = request({ hostname, port, path: '/events', method: 'POST', headers: NDJSON });
      const answered = new Promise<number>((resolve, reject) => {
        sending.on('error', reject).on('response', (response) => resolve(response.resume().statusCode!));
      });
      sending.write(lines([event(), event()]));
      await waitFor(async () => (await stored()) === 2, { what: 'the first lines' });
      sending.end(lines([event()]));
      assert.equal(await answered, 200);
      assert.equal(await stored(), 3);
    });

    it('is read with constant memory, however long it is', async function () {
      this.timeout(120_000);
      const chunk = lines(Array.from({ length: 500 }, () => anonymous({ text: 'x'.repeat(1500) })));
      async function* endless() {
        for (let i = 0; i < 60; i++) yield Buffer.from(chunk);
      }
      const before = process.memoryUsage().rss;
      let most = before;
      const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
      const response = await fetch(`${api.url}/events`, {
        method: 'POST',
        headers: NDJSON,
        body: ReadableStream.from(endless()),
        duplex: 'half',
      } as RequestInit);
      clearInterval(watch);
      assert.equal(((await response.json()) as { stored: number }).stored, 30_000);
      assert.ok(
        most - before < 250 << 20,
        `grew by ${(most - before) >> 20} MiB for ${(60 * chunk.length) >> 20} MiB`,
      );
    });
  });

  it('reads all members of a gzip body and all frames of a zstd body', async () => {
    for (const [encoding, pack] of [
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
    ] as const) {
      const parts = [event(), event(), event()].map((one) => pack(`${lines([one])}\n`));
      const answer = await post(Buffer.concat(parts), { 'content-encoding': encoding, ...NDJSON });
      assert.deepEqual(counts(answer), { stored: 3, duplicate: 0, invalid: 0 }, encoding);
    }
  });

  it('accepts gzip, deflate and zstd', async () => {
    for (const [encoding, pack] of [
      ['gzip', gzipSync],
      ['deflate', deflateSync],
      ['zstd', zstdCompressSync],
    ] as const) {
      const headers = { 'content-encoding': encoding };
      assert.equal((await post(pack(JSON.stringify([event(), event()])), headers)).body.stored, 2);
      const answer = await post(pack(lines([event(), event()])), { ...headers, ...NDJSON });
      assert.equal(answer.body.stored, 2);
    }
    assert.equal(await stored(), 12);
  });

  describe('with an Idempotency-Key', () => {
    const keyed = (key: string) => ({ 'idempotency-key': key });

    it('stores a batch once and answers 50 concurrent retries alike', async () => {
      const batch = Array.from({ length: 20 }, (_, n) => anonymous({ n }));
      const key = randomUUID();
      const answers = await Promise.all(Array.from({ length: 50 }, () => post(batch, keyed(key))));
      assert.equal(await stored(), 20);
      assert.deepEqual(counts(answers[0]!), { stored: 20, duplicate: 0, invalid: 0 });
      for (const { status, body } of answers) {
        assert.equal(status, 200);
        assert.deepEqual(body, answers[0]!.body);
      }
    });

    it('also stores events with ids once, whoever retries', async () => {
      const batch = Array.from({ length: 20 }, () => event());
      const answers = await Promise.all(Array.from({ length: 50 }, () => post(batch)));
      assert.equal(await stored(), 20);
      let first = 0;
      for (const answer of answers) {
        assert.equal(answer.body.stored + answer.body.duplicate, 20);
        first += answer.body.stored;
      }
      assert.equal(first, 20);
    });

    it('answers a repeated event, and repeated NDJSON, as the first time', async () => {
      const one = anonymous({ n: 1 });
      const [first, second] = [await post(one, keyed('one')), await post(one, keyed('one'))];
      assert.deepEqual([first.status, second.status], [201, 201]);
      assert.deepEqual(first.body, second.body);
      const body = lines([anonymous({ n: 1 }), anonymous({ n: 2 })]);
      for (let i = 0; i < 2; i++) {
        assert.deepEqual(counts(await post(body, { ...NDJSON, ...keyed('many') })), {
          stored: 2,
          duplicate: 0,
          invalid: 0,
        });
      }
      assert.equal(await stored(), 3);
    });

    it('accepts a repeated request with a negative zero, although zero is stored', async () => {
      const body = JSON.stringify(anonymous({ n: 1 })).replace('"n":1', '"n":-0,"list":[-0.0]');
      const answers = [await post(body, keyed('zero')), await post(body, keyed('zero'))];
      assert.deepEqual(
        answers.map(({ status }) => status),
        [201, 201],
      );
    });

    it('reports an error if another request uses the same key', async () => {
      await post([anonymous({ n: 1 }), anonymous({ n: 2 })], keyed('reused'));
      const { body } = await post([anonymous({ n: 1 }), anonymous({ n: 3 })], keyed('reused'));
      assert.deepEqual([body.stored, body.invalid], [1, 1]);
      assert.match(body.results[1].errors[0].reason, /used for another event/);
      assert.equal(await stored(), 2);
    });

    it('distinguishes events with different keys, and events without one', async () => {
      const one = anonymous({ n: 1 });
      await post([one, one], keyed('a'));
      await post([one], keyed('b'));
      await post([one]);
      await post([one]);
      assert.equal(await stored(), 5);
    });

    it('refuses a key that is empty or longer than 255 characters', async () => {
      assert.equal((await post([event()], keyed(''))).status, 422);
      const { status, body } = await post([event()], keyed('x'.repeat(256)));
      assert.equal(status, 422);
      assert.equal(body.errors[0].field, 'idempotency-key');
    });
  });
});
