import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { type Stage, stage } from '../stage.ts';

const event = () => ({ event_id: randomUUID(), source_id: 'source-1', severity: 'low', event_type: 'tick' });

describe('hostile request bodies', () => {
  let api: Stage;
  before(async () => {
    api = await stage();
  });
  after(() => api.close());

  const send = (body: Uint8Array | string, headers: Record<string, string>) =>
    api.call('POST', '/events', body, headers);

  /** Sends a request written by hand: its first line and headers. The test then sends the body. */
  function open(headers: string): Socket {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(`POST /events HTTP/1.1\r\nHost: ${hostname}:${port}\r\n${headers}\r\n\r\n`);
    return socket;
  }

  const answerOf = (socket: Socket) =>
    new Promise<string>((resolve, reject) => {
      socket.setEncoding('utf8').on('error', reject);
      socket.once('data', (chunk) => resolve(String(chunk)));
    });

  it('a body that declares 2 GB is refused before it is sent', async () => {
    for (const type of ['application/json', 'application/x-ndjson']) {
      const socket = open(`Content-Type: ${type}\r\nContent-Length: ${2 ** 31}`);
      assert.match(await answerOf(socket), /^HTTP\/1.1 413 /);
      socket.destroy();
    }
  });

  it('a client that keeps sending after a refusal is disconnected', async () => {
    const socket = open(`Content-Type: application/json\r\nContent-Length: ${2 ** 31}`);
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    let sent = 0;
    const chunk = Buffer.alloc(64 << 10);
    const push = () => {
      while (!socket.destroyed && sent < 256 << 20) {
        sent += chunk.length;
        if (!socket.write(chunk)) return void socket.once('drain', push);
      }
    };
    socket.on('error', () => {});
    const answer = answerOf(socket);
    push();
    assert.match(await answer, / 413 /);
    await closed;
    assert.ok(sent < 64 << 20, `took ${sent} bytes`);
  });

  it('a body that decompresses beyond the limit is refused, however small it was compressed', async () => {
    const bomb = Buffer.alloc(256 << 20, ' ');
    const before = process.memoryUsage().rss;
    for (const [encoding, body] of [
      ['gzip', gzipSync(bomb)],
      ['zstd', zstdCompressSync(bomb)],
    ] as const) {
      const { status } = await send(body, { 'content-encoding': encoding });
      assert.equal(status, 413, encoding);
    }
    assert.ok(process.memoryUsage().rss - before < 64 << 20);
  });

  it('a zstd body that needs a huge window is refused', async () => {
    const wide = zstdCompressSync(Buffer.from(JSON.stringify(event())), {
      params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 },
      pledgedSrcSize: undefined,
    });
    const { status } = await send(wide, { 'content-encoding': 'zstd' });
    assert.ok([400, 201].includes(status));
  });

  it('a body that is truncated or not in its declared encoding is refused', async () => {
    const packed = gzipSync(JSON.stringify(event()));
    for (const [encoding, body] of [
      ['gzip', packed.subarray(0, packed.length - 12)],
      ['gzip', Buffer.from(JSON.stringify(event()))],
      ['zstd', zstdCompressSync(JSON.stringify(event())).subarray(0, 30)],
      ['zstd', packed],
    ] as const) {
      const { status, body: problem } = await send(body, { 'content-encoding': encoding });
      assert.equal(status, 400);
      assert.match(problem.detail, new RegExp(encoding));
    }
  });

  it('a body in an unknown encoding is refused, and the answer lists the known ones', async () => {
    for (const encoding of ['br', 'constructor', '__proto__']) {
      const { status, headers } = await send(JSON.stringify(event()), { 'content-encoding': encoding });
      assert.equal(status, 415, encoding);
      assert.match(headers.get('accept-encoding')!, /gzip.*zstd/);
    }
  });

  it('invalid UTF-8 is repaired in an event and refused in a rule', async () => {
    const text = Buffer.from(JSON.stringify({ ...event(), source_id: 'source-?' }));
    text[text.indexOf('?')] = 0xff;
    const { status, body } = await send(text, {});
    assert.equal(status, 201);
    assert.equal(body.source_id, 'source-\ufffd');
    const rule = Buffer.from('{"name": "a?c", "threshold_count": 1, "window_seconds": 1}');
    rule[rule.indexOf('?')] = 0xff;
    const refused = await api.call('POST', '/alerts', rule);
    assert.equal(refused.status, 400);
    assert.match(refused.body.detail, /UTF-8/);
  });

  it('a rule with a number that would be rounded is refused, and the answer names the field', async () => {
    const match = '[{"field": "payload.id", "op": "=", "value": 9007199254740993}]';
    const rule = `{"name": "abc", "threshold_count": 1, "window_seconds": 1, "match": ${match}}`;
    const { status, body } = await api.call('POST', '/alerts', rule);
    assert.equal(status, 422);
    assert.match(
      body.detail,
      /^9007199254740993 has more digits than a number can hold: write it as a string/,
    );
  });

  it('a body of a hundred thousand brackets is refused', async () => {
    const { status } = await send('['.repeat(100_000) + ']'.repeat(100_000), {});
    assert.equal(status, 422);
  });

  it('a body that nests too deep or has a text that is too long is refused with that reason', async () => {
    let deep: unknown = 1;
    for (let i = 0; i < 40; i++) deep = { deep };
    const nested = await send(JSON.stringify({ ...event(), payload: deep }), {});
    assert.equal(nested.status, 422);
    assert.match(nested.body.detail, /nested deeper than 32/);
    const long = await send(JSON.stringify({ ...event(), payload: { text: 'x'.repeat(100_000) } }), {});
    assert.match(long.body.detail, /longer than 98304 characters/);
  });

  it('a body that comes one byte at a time is aborted after a limited time', async function () {
    this.timeout(60_000);
    const drip = open('Content-Type: application/x-ndjson\r\nContent-Length: 1000000');
    const stall = open('Content-Type: application/json\r\nContent-Length: 1000000');
    const timer = setInterval(() => drip.write(' '), 500);
    try {
      for (const answer of await Promise.all([drip, stall].map(answerOf))) {
        assert.match(answer, /^HTTP\/1.1 408 /);
      }
    } finally {
      clearInterval(timer);
      drip.destroy();
      stall.destroy();
    }
  });

  it('the next request succeeds after each of these bodies', async () => {
    assert.equal((await send(JSON.stringify(event()), {})).status, 201);
  });
});
