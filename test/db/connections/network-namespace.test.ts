import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type BlackHole, blackHole } from '../../support/black-hole.ts';
import { freshDatabase } from '../../support/servers.ts';
import { waitFor } from '../../support/wait-for.ts';

const NAME = `tocsin-${process.pid}`;
/** The first test network (RFC 2544, RFC 5737) that this machine does not use. */
const prefix = ['198.18.77', '198.51.100', '203.0.113'].find(
  (candidate) =>
    !Object.values(networkInterfaces()).some((addresses) =>
      addresses?.some(({ address }) => address.startsWith(`${candidate}.`)),
    ),
);
const [HERE, THERE] = [`${prefix}.1`, `${prefix}.2`];

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'pipe' });
const inside = (command: string, ...args: string[]) => run('ip', 'netns', 'exec', NAME, command, ...args);

/** Says why this machine cannot use a network namespace with a packet filter; null if it can. */
function missing(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it needs Linux and root';
  if (prefix === undefined) return 'no network is free';
  try {
    run('ip', 'netns', 'add', NAME);
    inside('iptables', '-L', '-n');
    return null;
  } catch (error) {
    return `it needs ip (iproute2) and iptables: ${(error as Error).message.split('\n')[0]}`;
  }
}

/** The kernel drops the packets, so TCP behaves as in a network that loses them. */
describe('a process in a network that loses the packets of its connections', () => {
  let why: string | null = null;
  let way: BlackHole | undefined;
  let database: Awaited<ReturnType<typeof freshDatabase>> | undefined;
  const veth = `tcs${process.pid % 100_000}`;
  before(async function () {
    why = missing();
    if (why !== null) {
      console.log(`      skipped, with a proxy in its place (liveness.test.ts): ${why}`);
      this.skip();
    }
    run('ip', 'link', 'add', `${veth}a`, 'type', 'veth', 'peer', 'name', `${veth}b`, 'netns', NAME);
    run('ip', 'address', 'add', `${HERE}/30`, 'dev', `${veth}a`);
    run('ip', 'link', 'set', `${veth}a`, 'up');
    inside('ip', 'address', 'add', `${THERE}/30`, 'dev', `${veth}b`);
    inside('ip', 'link', 'set', `${veth}b`, 'up');
    database = await freshDatabase();
    way = await blackHole(Number(new URL(database.url).port), HERE);
  });
  after(async () => {
    await way?.close();
    await database?.drop();
    try {
      run('ip', 'netns', 'delete', NAME);
    } catch (error) {
      if (why === null) throw error;
    }
  });

  it('stores events again within seconds, each once', async () => {
    const url = new URL(database!.url);
    url.host = `${HERE}:${way!.port}`;
    const script = join(import.meta.dirname, '../../support/appending.ts');
    const appending = spawn('ip', ['netns', 'exec', NAME, process.execPath, script], {
      env: { ...process.env, DATABASE_URL: url.href },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    appending.stdout.on('data', (chunk: globalThis.Buffer) => (output += chunk));
    const ended = new Promise((resolve) => appending.once('exit', resolve));
    const times = (word: string) => output.split(word).length - 1;
    try {
      await waitFor(() => times('stored') > 20, { what: 'events to be stored' });
      for (const port of way!.ports()) {
        inside('iptables', '-A', 'OUTPUT', '-p', 'tcp', '--sport', String(port), '-j', 'DROP');
        inside('iptables', '-A', 'INPUT', '-p', 'tcp', '--dport', String(port), '-j', 'DROP');
      }
      const before = times('stored');
      const lost = performance.now();
      // Answers from that moment may still be in the process.
      await waitFor(() => times('failed') >= 2, { what: 'both to learn of it', timeoutMs: 15_000 });
      console.log(`      noticed after ${Math.round(performance.now() - lost)} ms`);
      await waitFor(() => times('stored') > before + 20, { what: 'events to be stored again' });
    } finally {
      appending.kill('SIGKILL');
      await ended;
    }
    const client = new pg.Client(database!.url);
    await client.connect();
    const { rows } = await client.query<{ n: number }>('select count(*)::int as n from events');
    await client.end();
    const stored = times('stored');
    // Requests that were in progress at the kill may be stored although they were not answered.
    assert.ok(rows[0]!.n >= stored && rows[0]!.n <= stored + 2, `${rows[0]!.n} rows for ${stored} answers`);
  });
});
