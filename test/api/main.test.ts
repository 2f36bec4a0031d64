import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { makeSecret } from '../../domain/keys/key.ts';
import { spawnRole } from '../support/processes.ts';
import { freshDatabase } from '../support/servers.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { waitFor } from '../support/wait-for.ts';

type ListedKey = { name: string; state: string; last_used_at: string | null };

describe('the API process', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  before(async () => {
    database = await freshDatabase();
  });
  after(() => database.drop());

  const start = async (env: Record<string, string> = {}) => {
    const role = await spawnRole('api/main.ts', [], {
      ...{ DATABASE_URL: database.url, TEMPORAL_ADDRESS: '127.0.0.1:1', PORT: '0', HOST: '127.0.0.1' },
      ...{ LOG_LEVEL: 'info', CHANNELS: '', INGEST_TOKEN: '' },
      ...env,
    });
    return role;
  };
  const urlOf = (role: { output(): string }) =>
    waitFor(() => /listening on (http:\/\/[\d.:]+)/.exec(role.output())?.[1], { what: 'the API to listen' });
  const event = () => ({
    event_id: randomUUID(),
    source_id: 'source-1',
    severity: 'high',
    event_type: 'cpu_spike',
  });

  it('starts and stores events while Temporal is down; SIGTERM during operation loses nothing that was answered', async () => {
    const role = await start();
    const url = await urlOf(role);
    const stored: string[] = [];
    let going = true;
    const senders = Array.from({ length: 16 }, async () => {
      while (going) {
        const body = JSON.stringify(event());
        const headers = { 'content-type': 'application/json', 'x-ingest-token': 'local-token' };
        const response = await fetch(`${url}/internal/events`, { method: 'POST', headers, body }).catch(
          () => null,
        );
        if (response === null) return;
        if (response.status === 201) stored.push(((await response.json()) as { id: string }).id);
        else await response.text();
      }
    });
    const { headers } = await fetch(`${url}/health`);
    // Longer than the 60 s of most load balancers, which would otherwise answer 502.
    assert.equal(headers.get('keep-alive'), 'timeout=75');
    await waitFor(() => stored.length > 200, { what: 'events to be stored' });
    role.kill('SIGTERM');
    const { code } = await role.exited;
    going = false;
    await Promise.all(senders);
    assert.equal(code, 0, role.output());
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<{ n: number }>(
      'select count(*)::int as n from events where event_id = any($1::uuid[])',
      [stored],
    );
    const { rows: processes } = await client.query(
      "select oldest_unappended from processes where role = 'api'",
    );
    await client.end();
    assert.equal(rows[0]!.n, stored.length);
    assert.deepEqual(
      processes,
      [{ oldest_unappended: null }],
      'it stays on record, quiet and with nothing in hand, until another takes its place',
    );
  });

  it('stops at once even if a client keeps its connection open', async () => {
    const role = await start();
    const { hostname, port } = new URL(await urlOf(role));
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    const asked = Date.now();
    role.kill('SIGINT');
    assert.equal((await role.exited).code, 0);
    assert.ok(Date.now() - asked < 5000, `${Date.now() - asked} ms`);
    socket.destroy();
  });

  it('stops at once even if a client reads the event stream, which then ends completely', async () => {
    const role = await start();
    const response = await fetch(`${await urlOf(role)}/events/stream`);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    assert.match((await reader.read()).value!, /^retry: \d+\nid: /);
    const asked = Date.now();
    role.kill('SIGTERM');
    // If the connection is cut, this throws.
    while (!(await reader.read()).done);
    assert.equal((await role.exited).code, 0, role.output());
    assert.ok(Date.now() - asked < 5000, `${Date.now() - asked} ms`);
  });

  it('requires keys if others can reach it, and knows the bootstrap key, which ends when another one is configured', async () => {
    const secrets = { HOST: '0.0.0.0', INGEST_TOKEN: 'a-token-of-our-own' };
    const [first, second] = [makeSecret('key'), makeSecret('key')];
    const ask = async (url: string, key: string, path = '/keys') => {
      const response = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
      return { status: response.status, body: (await response.json()) as ListedKey[] };
    };
    const one = await start({ ...secrets, BOOTSTRAP_KEY: first });
    const url = (await urlOf(one)).replace('0.0.0.0', '127.0.0.1');
    assert.match(one.output(), /listening on http:\S+, keys are required/);
    await waitFor(async () => (await ask(url, first)).status === 200, { what: 'the first key to be known' });
    assert.equal((await fetch(`${url}/events`)).status, 401);
    assert.equal((await ask(url, second)).status, 401);
    assert.deepEqual(
      (await ask(url, first)).body.map(({ name, state }) => [name, state]),
      [['bootstrap', 'active']],
    );
    one.kill();
    assert.equal((await one.exited).code, 0, one.output());

    const file = join(temporaryDirectory(), 'first-key');
    writeFileSync(file, second);
    const two = await start({ ...secrets, BOOTSTRAP_KEY_FILE: file });
    const again = (await urlOf(two)).replace('0.0.0.0', '127.0.0.1');
    await waitFor(async () => (await ask(again, second)).status === 200, {
      what: 'the next key to be known',
    });
    assert.equal((await ask(again, first)).status, 401);
    const { body } = await ask(again, second);
    assert.deepEqual(
      body.map(({ name, state }) => [name, state]),
      [
        ['bootstrap', 'active'],
        ['bootstrap', 'revoked'],
      ],
    );
    assert.ok(body[1]!.last_used_at, 'was written down at the stop of the process before');
    assert.ok(!two.output().includes(second), 'the log has no secret');
    two.kill();
    assert.equal((await two.exited).code, 0, two.output());

    // The key stays revoked, because the person who revoked it relies on that.
    const three = await start({ ...secrets, BOOTSTRAP_KEY: first });
    const last = (await urlOf(three)).replace('0.0.0.0', '127.0.0.1');
    await waitFor(() => three.output().includes('the bootstrap key was revoked'), { what: 'to be told' });
    assert.equal((await ask(last, first)).status, 401);
    three.kill();
    await three.exited;
  });

  it('says that it is open to this machine if it requires no keys', async () => {
    const role = await start();
    await urlOf(role);
    assert.match(role.output(), /listening on http:\S+, open to everyone on this machine, without keys/);
    role.kill();
    await role.exited;
  });

  it('says in one sentence that its port is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const role = await start({ PORT: String(port) });
    const { code } = await role.exited;
    other.close();
    assert.equal(code, 1);
    assert.match(role.output(), new RegExp(`can't listen on 127.0.0.1:${port}: another program`));
    assert.doesNotMatch(role.output(), /\bat .*:\d+:\d+/);
  });

  it('says in one sentence what is wrong with its configuration', async () => {
    for (const [env, sentence] of [
      [{ PORT: 'eighty' }, /^PORT: /m],
      [{ HOST: '0.0.0.0' }, /INGEST_TOKEN is the well-known default/],
      [
        { HOST: '0.0.0.0', INGEST_TOKEN: 'a-token-of-our-own' },
        /the API requires keys, but there is none to begin with/,
      ],
      [{ HOST: '0.0.0.0', AUTH: 'open' }, /but AUTH is open/],
      [{ CHANNELS: '{' }, /^CHANNELS: must be a JSON list/m],
    ] as const) {
      const role = await start(env);
      assert.equal((await role.exited).code, 1);
      assert.match(role.output(), sentence);
      assert.doesNotMatch(role.output(), /\bat .*:\d+:\d+/);
    }
  });
});
