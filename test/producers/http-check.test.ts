import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { createProbe, probeEvent } from '../../activities/producers/http-check.ts';
import { parseNetwork } from '../../domain/network.ts';
import { addressFlaw, PRIVATE_NETWORKS } from '../../domain/producers/probe-address.ts';
import type { HttpCheckSettings } from '../../domain/producers/producer.ts';
import { redactedUrl } from '../../domain/producers/producer.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';
import { keepHistory } from '../support/histories.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Stage, stage } from './stage.ts';
import { selfSigned, type Web, web } from './web-servers.ts';

const checking = (url: string, changes: Partial<HttpCheckSettings> = {}): HttpCheckSettings => ({
  kind: 'http-check',
  url,
  interval_seconds: 1,
  timeout_ms: 2000,
  expected_status: [],
  certificate_days: 14,
  ...changes,
});

describe('an HTTP check', () => {
  let server: Web | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });
  const allowed = PRIVATE_NETWORKS.map((text) => parseNetwork(text)!);
  const check = (settings: HttpCheckSettings, ca?: string) =>
    probeEvent(settings, createProbe({ ca, allowed }));

  it('distinguishes healthy, wrong status, redirect (without following it), and expected status', async () => {
    const asked: string[] = [];
    server = await web((request, response) => {
      asked.push(request.url!);
      const status = Number(request.url!.slice(1)) || 200;
      response.writeHead(status, { location: '/elsewhere' }).end('x'.repeat(100_000));
    });
    const found = async (path: string, expected: number[] = []) => {
      const { severity, payload } = await check(
        checking(`${server!.url}${path}`, { expected_status: expected }),
      );
      return [severity, payload.ok, payload.status, payload.error];
    };
    assert.deepEqual(await found(''), ['info', true, 200, null]);
    assert.deepEqual(await found('302'), ['info', true, 302, null]);
    assert.deepEqual(await found('503'), ['high', false, 503, 'status 503']);
    assert.deepEqual(await found('404', [404]), ['info', true, 404, null]);
    assert.deepEqual(await found('200', [404]), ['high', false, 200, 'status 200']);
    assert.ok(!asked.includes('/elsewhere'));
  });

  it('is critical if nobody answers, or not in time', async () => {
    server = await web(() => {});
    const silent = await check(checking(server.url, { timeout_ms: 100 }));
    assert.deepEqual([silent.severity, silent.payload.error], ['critical', 'no answer within 100 ms']);
    await server.close();
    const refused = await check(checking(server.url));
    assert.equal(refused.severity, 'critical');
    assert.match(String(refused.payload.error), /ECONNREFUSED/);
    const unknown = await check(checking('http://nobody.invalid/'));
    assert.match(String(unknown.payload.error), /ENOTFOUND|EAI_AGAIN/);
  });

  it('treats an answer that switches protocols as a wrong status', async () => {
    server = await web((request) => {
      request.socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      );
    });
    const { severity, payload } = await check(checking(server.url));
    assert.deepEqual([severity, payload.status, payload.error], ['high', 101, 'status 101']);
    const expected = await check(checking(server.url, { expected_status: [101] }));
    assert.equal(expected.severity, 'info');
  });

  it('warns before a certificate expires, and sends nothing to a host that it cannot trust', async () => {
    const asked: (string | undefined)[] = [];
    const certificate = selfSigned(10);
    server = await web((request, response) => {
      asked.push(request.headers.authorization);
      response.end('ok');
    }, certificate);
    const url = server.url.replace('//', '//user:secret@');
    const ending = await check(checking(url), certificate.cert);
    assert.equal(ending.severity, 'high');
    assert.ok([9, 10].includes(Number(ending.payload.certificate_days_left)));
    assert.match(String(ending.payload.error), /certificate ends in/);
    assert.equal((await check(checking(url, { certificate_days: 5 }), certificate.cert)).severity, 'info');
    assert.deepEqual(asked, Array(2).fill(`Basic ${btoa('user:secret')}`));

    const untrusted = await check(checking(url));
    assert.equal(untrusted.severity, 'critical');
    assert.match(String(untrusted.payload.error), /not trusted: DEPTH_ZERO_SELF_SIGNED_CERT/);
    assert.ok(Number(untrusted.payload.certificate_days_left) >= 9);
    assert.equal(asked.length, 2);
    assert.ok(!JSON.stringify([ending, untrusted]).includes('secret'));
  });

  it('never connects to link-local or metadata addresses, however they are written', async () => {
    const hosts = [
      ...[
        '169.254.169.254',
        '169.254.1.1',
        '0xa9fea9fe',
        '2852039166',
        '0251.0376.0251.0376',
        '100.100.100.200',
      ],
      ...[
        '192.0.0.192',
        '168.63.129.16',
        '[fe80::1]',
        '[fd00:ec2::254]',
        '[fd00:ec2::23]',
        '[fd20:ce::254]',
        '[fd00:c1::a9fe:a9fe]',
        '[fd00:42::42]',
        '[fd00:a9fe:a9fe::1]',
        '[2001:19f0:fc00::a9fe:a9fe]',
        '[::ffff:169.254.169.254]',
      ],
      ...[
        '[::ffff:a9fe:a9fe]',
        '[64:ff9b::a9fe:a9fe]',
        '[64:ff9b::6464:64c8]',
        '[64:ff9b:1::a9fe:a9fe]',
        '[2002:a9fe:a9fe::]',
        '[::a9fe:a9fe]',
      ],
    ];
    for (const host of hosts) {
      const { severity, payload } = await check(
        checking(`http://${host}/latest/meta-data`, { timeout_ms: 200 }),
      );
      assert.equal(severity, 'critical');
      assert.match(String(payload.error), /link-local or cloud metadata/, host);
    }
    for (const own of [
      '127.0.0.1',
      '10.1.2.3',
      '192.168.1.1',
      '::1',
      'fd12::1',
      '8.8.8.8',
      '64:ff9b::808:808',
    ]) {
      assert.equal(addressFlaw(own, allowed), null, own);
    }
  });

  it('connects to private networks only if they are allowed', async () => {
    server = await web((_request, response) => void response.end());
    for (const reach of [{}, { allowed: [parseNetwork('10.0.0.0/8')!] }]) {
      const { severity, payload } = await probeEvent(checking(server.url), createProbe(reach));
      assert.equal(severity, 'critical');
      assert.match(String(payload.error), /is a private address that HTTP_CHECK_NETWORKS does not include/);
    }
    const inside = [
      '127.0.0.1',
      '::1',
      '10.1.2.3',
      '172.16.0.1',
      '192.168.1.1',
      '100.64.0.1',
      'fd12::1',
      '0.0.0.0',
      '::',
    ];
    for (const address of [
      ...inside,
      '::ffff:10.1.2.3',
      '64:ff9b::a01:203',
      '2002:a01:203::',
      '224.0.0.1',
      'ff02::1',
    ]) {
      assert.notEqual(addressFlaw(address, []), null, address);
    }
    for (const address of ['8.8.8.8', '2606:4700::1111', '64:ff9b::808:808', '2002:808:808::']) {
      assert.equal(addressFlaw(address, []), null, address);
    }
    assert.equal(addressFlaw('10.1.2.3', [parseNetwork('10.1.0.0/16')!]), null);
    assert.notEqual(addressFlaw('10.2.2.3', [parseNetwork('10.1.0.0/16')!]), null);
    assert.notEqual(
      addressFlaw('169.254.169.254', [parseNetwork('169.254.0.0/16')!]),
      null,
      'metadata, never',
    );
  });

  it('keeps credentials out of its events', () => {
    assert.equal(
      redactedUrl('https://user:pass@example.org/path?token=abc&x=1#part'),
      'https://***:***@example.org/path?token=***&x=***',
    );
    assert.equal(redactedUrl('http://example.org/'), 'http://example.org/');
  });
});

describe('a producer of HTTP checks', () => {
  let there: Stage;
  let server: Web;
  let asked = 0;
  let outage: (() => Error) | null = null;
  before(async () => {
    server = await web((_request, response) => {
      asked += 1;
      response.setHeader('x-asked', asked).end();
    });
    there = await stage({
      between: (ingest) => ({
        ...ingest,
        accept: async (events) => {
          if (outage) throw outage();
          return ingest.accept(events);
        },
      }),
    });
  });
  after(async () => {
    await there.close();
    await server.close();
  });

  it('emits one event per tick, with the time of the tick, and does not probe again because the store was down', async () => {
    outage = () => new Error('away');
    const handle = await there.start('check-1', checking(server.url));
    await waitFor(() => asked >= 1, { what: 'the first check' });
    assert.equal((await there.status(handle)).emitted, 0);
    await waitFor(async () => (await there.status(handle)).in_flight >= 2, { what: 'a second check' });
    outage = null;
    await there.storedCount('check-1', 4);
    await there.stop(handle);
    const events = await there.stored('check-1');
    const ticks = events.map(({ occurred_at }) => occurred_at);
    assert.equal(new Set(ticks).size, ticks.length);
    for (const tick of ticks) assert.equal(Math.abs(tick - ticks[0]!) % 1000, 0);
    assert.equal(asked, events.length);
    await keepHistory(handle, 'producer-check');
  });

  it('puts its result into the dead letter, because it cannot be found out again', async () => {
    outage = () => ApplicationFailure.create({ message: 'no', type: FAILURES.refused, nonRetryable: true });
    const handle = await there.start('check-2', checking(server.url));
    const [letter] = await waitFor(
      async () => {
        const rows = await there.letters('check-2');
        return rows.length > 0 ? rows : null;
      },
      { what: 'a dead letter' },
    );
    await there.stop(handle);
    const { events } = letter!.content as { events?: { payload: { status: number } }[] };
    assert.equal(events?.[0]?.payload.status, 200);
  });
});
