import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { type RunningPostgres, startPostgres } from '../../embedded/postgres/postgres.ts';
import { signalTo } from '../../embedded/processes/process.ts';
import { steadyPort } from '../support/ports.ts';
import { rejectsWithSentence } from '../support/sentence.ts';
import { temporaryDirectory } from '../support/temporary.ts';

describe('embedded PostgreSQL', () => {
  let dataDir: string;
  let running: RunningPostgres | undefined;

  beforeEach(() => {
    dataDir = join(temporaryDirectory(), 'postgres');
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });

  async function start(port?: number): Promise<RunningPostgres> {
    running = await startPostgres({ dataDir, port, log: () => {} });
    return running;
  }

  it('keeps its data, its port and its URL over a clean restart', async () => {
    const first = await start();
    await query(first.url, 'create table kept (n int); insert into kept values (42)');
    await first.stop();
    const second = await start();
    assert.equal(second.url, first.url);
    assert.deepEqual(await query(second.url, 'select n from kept'), [{ n: 42 }]);
  });

  it('recovers what was committed when the server is killed', async () => {
    const first = await start();
    await query(first.url, 'create table kept (n int); insert into kept values (42)');
    signalTo(first.pid, 'SIGKILL');
    await first.exited;
    const second = await start();
    assert.deepEqual(await query(second.url, 'select n from kept'), [{ n: 42 }]);
  });

  it('starts although another program has the number in a stale postmaster.pid', async () => {
    const first = await start();
    const pidFile = join(dataDir, 'cluster', 'postmaster.pid');
    const lines = readFileSync(pidFile, 'utf8').split('\n');
    await first.stop();
    writeFileSync(pidFile, [process.pid, ...lines.slice(1)].join('\n'));
    await start();
  });

  it('says in one sentence that a server already runs on the data', async () => {
    await start();
    await rejectsWithSentence(
      startPostgres({ dataDir, log: () => {} }),
      /already runs on .*cluster \(process \d+\)/,
    );
  });

  it('says in one sentence that the port is taken', async () => {
    const port = await steadyPort();
    const other = createServer().listen(port, '127.0.0.1');
    try {
      await rejectsWithSentence(start(port), new RegExp(`^Port ${port}, wanted for PostgreSQL, is taken`));
    } finally {
      other.close();
    }
  });

  it('uses another port if that of the last time is taken and none was requested', async () => {
    const first = await start();
    await first.stop();
    const other = createServer().listen(first.port, '127.0.0.1');
    try {
      assert.notEqual((await start()).port, first.port);
    } finally {
      other.close();
    }
  });

  it('says in one sentence that the data is damaged, and does not change it', async () => {
    await (await start()).stop();
    const control = join(dataDir, 'cluster', 'global', 'pg_control');
    rmSync(control);
    await rejectsWithSentence(
      start(),
      /^The PostgreSQL data in .* cannot be used \(.*\): restore it from a backup/,
    );
    rmSync(join(dataDir, 'cluster', 'PG_VERSION'));
    await rejectsWithSentence(start(), /PG_VERSION is missing/);
  });

  it('says in one sentence that the place for the data is a file', async () => {
    writeFileSync(dataDir, '');
    await rejectsWithSentence(start(), /is not a directory/);
  });

  it('creates the cluster again if its creation was interrupted', async () => {
    mkdirSync(join(dataDir, 'cluster.new', 'base'), { recursive: true });
    await start();
  });

  it('listens on loopback only and requires a password', async () => {
    const { url } = await start();
    assert.deepEqual(await query(url, 'show listen_addresses'), [{ listen_addresses: '127.0.0.1' }]);
    const stranger = new URL(url);
    stranger.password = 'guess';
    await assert.rejects(query(stranger.href, 'select 1'), { code: '28P01' });
  });
});

async function query(connectionString: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
