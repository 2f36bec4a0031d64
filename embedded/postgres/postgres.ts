import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../process/free-port.ts';
import { isFree, requireFree } from '../ports.ts';
import { type Exit, type Launched, type Log, launch, type StopStep } from '../processes/process.ts';
import { fileError, StartupError } from '../startup-error.ts';
import { postgresBinaries, postgresUser } from './binaries.ts';
import { clearStalePid, createCluster, environment, readPassword, user } from './cluster.ts';
import { damaged, isStillLettingGo, postgresStartupError } from './errors.ts';

export type PostgresOptions = {
  /** The directory of the cluster, its password, port and log. */
  dataDir: string;
  /**
   * The port that PostgreSQL must use. If absent, it uses the port of the last time, else `preferredPort`,
   * else any free port.
   */
  port?: number;
  preferredPort?: number;
  /** False in tests: commits may be lost if the machine stops. */
  durable?: boolean;
  log: Log;
};

export type RunningPostgres = {
  /** Connection URL of the database `tocsin`, with the password. */
  url: string;
  port: number;
  pid: number;
  exited: Promise<Exit>;
  /** Closes all connections and shuts PostgreSQL down. After 30 s it is forced to end. */
  stop(): Promise<void>;
};

const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 100,
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
};
const forgetful = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
// SIGINT is PostgreSQL's fast shutdown. SIGTERM would wait until every client disconnects.
const stopSteps: StopStep[] = [
  ['SIGINT', 30_000],
  ['SIGQUIT', 10_000],
  ['SIGKILL', 10_000],
];
const startMs = 300_000;
const lettingGoMs = 30_000;

/**
 * Starts PostgreSQL on loopback, with its data in `dataDir`. The first start creates the data.
 * @throws StartupError, one sentence, if PostgreSQL cannot start
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const { dataDir, durable = true, log } = options;
  const binaries = await postgresBinaries();
  const owner = postgresUser();
  const cluster = join(dataDir, 'cluster');
  try {
    mkdirSync(dataDir, { recursive: true });
  } catch (error) {
    throw fileError(dataDir, error);
  }
  if (!existsSync(cluster)) await createCluster(dataDir, binaries.initdb, owner, durable, log);
  if (!existsSync(join(cluster, 'PG_VERSION')))
    throw new StartupError(damaged(cluster, 'PG_VERSION is missing'));
  clearStalePid(cluster);
  const port = await choosePort(options);
  const password = readPassword(dataDir);
  const flags = Object.entries({ ...settings, ...(durable ? {} : forgetful) }).flatMap(([k, v]) => [
    '-c',
    `${k}=${v}`,
  ]);
  const logFile = join(dataDir, 'postgres.log');
  const giveUp = Date.now() + lettingGoMs;
  for (;;) {
    const server = await launch({
      command: binaries.postgres,
      args: ['-D', cluster, '-p', String(port), ...flags],
      logFile,
      user: owner,
      env: environment(),
    });
    if (await becomesReady(server, port, password, log)) {
      writeFileSync(join(dataDir, 'port'), `${port}\n`);
      const url = `postgresql://${user}:${password}@127.0.0.1:${port}/tocsin`;
      return {
        url,
        port,
        pid: server.pid,
        exited: server.exited,
        stop: async () => void (await server.stop(stopSteps)),
      };
    }
    await server.stop(stopSteps);
    const output = server.output();
    if (!isStillLettingGo(output) || Date.now() > giveUp)
      throw postgresStartupError(output, cluster, port, logFile);
    await sleep(250);
  }
}

async function choosePort({ dataDir, port, preferredPort }: PostgresOptions): Promise<number> {
  if (port) {
    await requireFree(port, 'PostgreSQL', 'stop that one, or set PG_PORT');
    return port;
  }
  const recorded = join(dataDir, 'port');
  const wishes = [existsSync(recorded) ? Number(readFileSync(recorded, 'utf8')) : 0, preferredPort ?? 0];
  for (const wish of wishes) if (wish > 0 && wish < 65_536 && (await isFree(wish))) return wish;
  return freePort();
}

/**
 * Waits until the server is ready; false if it ends before. Recovery after a crash may take long, so there is
 * no time limit while the server lives.
 */
async function becomesReady(server: Launched, port: number, password: string, log: Log): Promise<boolean> {
  const started = Date.now();
  let told = started;
  while (!server.hasExited() && Date.now() - started < startMs) {
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres' });
    client.on('error', () => {});
    try {
      await client.connect();
      const { rowCount } = await client.query(`select from pg_database where datname = 'tocsin'`);
      if (rowCount === 0) await client.query('create database tocsin');
      return true;
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.code === '28P01') {
        await server.stop(stopSteps);
        throw new StartupError('The password file of the PostgreSQL data is not the one it was made with.');
      }
      if (Date.now() - told > 10_000) {
        told = Date.now();
        log('PostgreSQL: still recovering its data');
      }
      await sleep(50);
    } finally {
      await client.end().catch(() => {});
    }
  }
  return false;
}
