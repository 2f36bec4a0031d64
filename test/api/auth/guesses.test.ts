import assert from 'node:assert/strict';
import { Guesses } from '../../../api/auth/guesses.ts';
import { makeSecret } from '../../../domain/keys/key.ts';
import { TOKEN } from '../stage.ts';
import { bearer, type KeyStage, keyStage } from './stage.ts';

const quiet = { warn() {} };

describe('the limit for wrong secrets', () => {
  const refused = (guesses: Guesses, address: string) => {
    try {
      guesses.check(address);
      return false;
    } catch (error) {
      assert.equal((error as { status: number }).status, 429);
      return true;
    }
  };

  it('an address may try twenty wrong secrets at once, and then one every two seconds', () => {
    let now = 0;
    const guesses = new Guesses(quiet, () => now);
    let tried = 0;
    for (; now < 60_000; now += 10) {
      if (refused(guesses, '203.0.113.9')) continue;
      guesses.failed('203.0.113.9');
      tried++;
    }
    assert.ok(tried >= 49 && tried <= 51, String(tried));
    assert.equal(refused(guesses, '203.0.113.10'), false, 'another address is another');
  });

  it('all addresses of one IPv6 network share one limit', () => {
    const guesses = new Guesses(quiet, () => 0);
    for (let i = 0; i < 20; i++) guesses.failed(`2001:db8:1:2::${i}`);
    assert.ok(refused(guesses, '2001:db8:1:2:ffff::1'));
    assert.ok(!refused(guesses, '2001:db8:1:3::1'));
  });

  it('an address that sent a valid secret in the last ten minutes is not limited', () => {
    let now = 0;
    const guesses = new Guesses(quiet, () => now);
    guesses.succeeded('203.0.113.9');
    for (let i = 0; i < 1000; i++) guesses.failed('203.0.113.9');
    assert.ok(!refused(guesses, '203.0.113.9'));
    now += 600_001;
    assert.ok(refused(guesses, '203.0.113.9'));
  });

  it('the memory for addresses is bounded, however many addresses send wrong secrets', () => {
    const guesses = new Guesses(quiet, () => 0);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 300_000; i++) {
      guesses.failed(`198.51.${i >> 8}.${i & 255}`);
      guesses.succeeded(`198.51.${i >> 8}.${i & 255}`);
    }
    assert.ok(process.memoryUsage().heapUsed - before < 60e6);
  });
});

describe('a client that guesses keys', () => {
  let api: KeyStage;
  beforeEach(async () => {
    // The API trusts this proxy, so each test's client can choose its address.
    api = await keyStage({ proxies: ['127.0.0.1'] });
  });
  afterEach(() => api.close());

  const event = { source_id: 'source-1', severity: 'high', event_type: 'cpu_spike' };
  const at = (address: string, headers: Record<string, string> = {}) => ({
    'x-forwarded-for': address,
    ...headers,
  });
  const tries: [what: string, send: (address: string) => Promise<{ status: number; headers: Headers }>][] = [
    [
      'in a header',
      (address) => api.call('GET', '/events', undefined, at(address, bearer(makeSecret('key')))),
    ],
    ['for a session', (address) => api.call('POST', '/session', { key: makeSecret('key') }, at(address))],
    [
      'as a token',
      (address) =>
        api.call('POST', '/internal/events', event, at(address, { 'x-ingest-token': makeSecret('key') })),
    ],
    [
      'in a body',
      (address) =>
        api.call(
          'POST',
          '/v2/enqueue',
          { routing_key: makeSecret('key'), event_action: 'resolve', dedup_key: 'x' },
          at(address),
        ),
    ],
  ];

  for (const [what, send] of tries) {
    it(`guessing ${what} is limited at that address and at no other`, async () => {
      const statuses: number[] = [];
      for (let i = 0; i < 30; i++) {
        const { status, headers } = await send('198.51.100.7');
        statuses.push(status);
        if (status === 429) assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
      }
      assert.deepEqual(statuses.slice(0, 20), Array(20).fill(401));
      assert.ok(statuses.slice(20).includes(429), String(statuses));
      assert.equal((await send('198.51.100.8')).status, 401);
    });
  }

  it('a key that this process knows is accepted while its address is limited, and so is the token from an address that sent a valid key', async () => {
    const { key } = await api.key(['ingest', 'read']);
    const good = (address: string) => api.call('GET', '/events', undefined, at(address, bearer(key)));
    assert.equal((await good('198.51.100.9')).status, 200);
    const guess = async (address: string) => tries[0]![1](address);
    for (let i = 0; i < 40; i++) for (const address of ['198.51.100.7', '198.51.100.9']) await guess(address);
    assert.equal((await guess('198.51.100.7')).status, 429);
    assert.equal((await good('198.51.100.7')).status, 200, 'a known key');
    const token = at('198.51.100.9', { 'x-ingest-token': TOKEN });
    assert.equal((await api.call('POST', '/internal/events', event, token)).status, 201, 'a good address');
  });

  it('guessing ingest tokens is limited also at an address that sent a valid key or token', async () => {
    const { key } = await api.key(['read']);
    const address = '198.51.100.7';
    const guess = tries.find(([what]) => what === 'as a token')![1];
    const send = (headers: Record<string, string>) =>
      api.call('POST', '/internal/events', event, at(address, headers));
    assert.equal((await api.call('GET', '/events', undefined, at(address, bearer(key)))).status, 200);
    assert.equal((await send({ 'x-ingest-token': TOKEN })).status, 201);
    const statuses: number[] = [];
    for (let i = 0; i < 30; i++) statuses.push((await guess(address)).status);
    assert.deepEqual(statuses.slice(0, 20), Array(20).fill(401));
    assert.ok(statuses.slice(20).includes(429), String(statuses));
    assert.equal((await api.call('GET', '/events', undefined, at(address, bearer(key)))).status, 200);
  });

  it('a revoked or expired key does not lift the limit', async () => {
    const revoked = await api.key(['read']);
    assert.equal((await api.by(api.root, 'DELETE', `/keys/${revoked.id}`)).status, 204);
    const expired = await api.key(['read'], { expires_at: new Date(Date.now() + 3_600_000).toISOString() });
    api.advance(3_600_001);
    for (const [i, { key }] of [revoked, expired].entries()) {
      const address = `198.51.100.${i}`;
      const old = () => api.call('GET', '/events', undefined, at(address, bearer(key)));
      assert.equal((await old()).status, 401);
      for (let n = 0; n < 30; n++) await tries[0]![1](address);
      assert.equal((await tries[0]![1](address)).status, 429);
    }
  });
});
