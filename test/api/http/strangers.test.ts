import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { waitFor } from '../../support/wait-for.ts';
import { bearer, type KeyStage, keyStage } from '../auth/stage.ts';

/** More requests than any budget has room for. */
const HOLDERS = 300;

describe('the memory budgets for request bodies', () => {
  let api: KeyStage;
  let sockets: Socket[];
  let answered: number;
  beforeEach(async () => {
    api = await keyStage();
    sockets = [];
    answered = 0;
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await api.close();
  });

  /** Sends most of a body and holds the rest back. Resolves once that is sent. */
  const hold = (path: string, body: Buffer, headers: string[] = []) =>
    new Promise<void>((resolve, reject) => {
      const { hostname, port } = new URL(api.url);
      const socket = connect(Number(port), hostname, () => {
        const head = [
          `POST ${path} HTTP/1.1`,
          'Host: localhost',
          'Content-Type: application/json',
          `Content-Length: ${body.length + 100_000}`,
          ...headers,
        ];
        socket.write(`${head.join('\r\n')}\r\n\r\n`);
        socket.write(body, () => resolve());
      });
      socket.on('error', reject);
      socket.once('data', () => answered++);
      sockets.push(socket);
    });
  const held = async (path: string, body: Buffer, headers: string[] = []) => {
    for (let i = 0; i < HOLDERS; i++) await hold(path, body, headers);
    // No budget has room for more than half of them.
    await waitFor(() => answered >= HOLDERS / 2, { what: 'the budget to be used up' });
  };
  /**
   * Decompresses to 250 KiB. The stream is flushed before its end, so the API certainly holds all of these
   * bytes.
   */
  const small = gzipSync(Buffer.alloc(250 << 10, ' ')).subarray(0, -8);
  const GZIP = ['Content-Encoding: gzip'];

  /** Larger than the room that is left when no further chunk fits. */
  const text = 'x'.repeat(50_000);
  const event = { source_id: 'source-1', severity: 'high', event_type: 'cpu_spike', payload: { text } };
  const page = (routing_key: string) => ({
    // A refresh of one alert, because new alerts have a rate.
    ...{ routing_key, event_action: 'trigger', dedup_key: 'disk' },
    payload: { summary: 'disk full', source: 'web-1', severity: 'critical', custom_details: { text } },
  });

  for (const path of ['/session', '/v2/enqueue']) {
    it(`requests with a valid key succeed while clients without a key hold bodies at ${path}`, async () => {
      const { key } = await api.key(['ingest']);
      await held(path, small, GZIP);
      for (let i = 0; i < 20; i++) {
        assert.equal((await api.by(key, 'POST', '/events', event)).status, 201);
        assert.equal((await api.call('POST', '/v2/enqueue', page(key))).status, 202);
        assert.equal((await api.by(key, 'POST', '/api/v2/alerts', [])).status, 200);
        assert.equal((await api.call('POST', '/session', { key })).status, 200);
      }
    });
  }

  it('refusing the bodies of clients without a key records no deaf span', async () => {
    await held('/v2/enqueue', small, GZIP);
    assert.deepEqual(api.rejections.deafness!.spansAt(Date.now()), []);
  });

  it('alerts and control requests succeed while events use up their own budget', async () => {
    const { key } = await api.key(['ingest']);
    const headers = [...GZIP, `Authorization: ${bearer(key).authorization}`];
    // A body that makes no progress for 10 s is dropped. On a slow machine, the first ones are gone before
    // the last ones arrive.
    await waitFor(
      async () => {
        await Promise.all(Array.from({ length: 50 }, () => hold('/events', small, headers)));
        return (await api.by(key, 'POST', '/events', event)).status === 503;
      },
      { what: 'the room for events to be used up', everyMs: 1 },
    );
    assert.equal((await api.by(key, 'POST', '/api/v2/alerts', [])).status, 200);
    assert.equal((await api.call('POST', '/v2/enqueue', page(key))).status, 202);
    assert.equal((await api.by(api.root, 'POST', '/keys', { name: 'new', roles: ['read'] })).status, 201);
  });

  it('other keys’ requests succeed while one key holds as many bodies as it may', async () => {
    const [holder, other] = [(await api.key(['ingest'])).key, (await api.key(['ingest'])).key];
    const headers = [...GZIP, `Authorization: ${bearer(holder).authorization}`];
    await waitFor(
      async () => {
        await Promise.all(Array.from({ length: 50 }, () => hold('/events', small, headers)));
        return (await api.by(holder, 'POST', '/events', event)).status === 503;
      },
      { what: 'the room for events to be used up', everyMs: 1 },
    );
    const before = answered;
    for (let i = 0; i < 20; i++) assert.equal((await api.by(other, 'POST', '/events', event)).status, 201);
    await waitFor(() => answered > before, { what: 'one of the held bodies to be given up' });
  });

  it('a slow sender is disconnected, judged by its bytes on the wire and not by their decompressed size', async function () {
    this.timeout(50_000);
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    const { key } = await api.key(['ingest']);
    socket.write(
      `POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nAuthorization: Bearer ${key}\r\nContent-Length: 5000\r\n\r\n`,
    );
    // Decompresses to 4 MiB. If decompressed bytes counted, it could be sent for an hour.
    const body = gzipSync(Buffer.alloc(4 << 20, ' '));
    let at = 0;
    const timer = setInterval(() => {
      if (at < body.length) socket.write(body.subarray(at, at + 200));
      at += 200;
    }, 1000);
    try {
      const answer = await new Promise<string>((resolve) =>
        socket.once('data', (chunk) => resolve(String(chunk))),
      );
      assert.match(answer, /^HTTP\/1.1 408 /);
    } finally {
      clearInterval(timer);
    }
  });
});
