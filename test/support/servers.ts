import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import pg from 'pg';
import { startPostgres } from '../../embedded/postgres/postgres.ts';
import { remember } from '../../embedded/processes/orphans.ts';
import { signalTo } from '../../embedded/processes/process.ts';
import { startTemporal } from '../../embedded/temporal/temporal.ts';
import { register } from '../../temporal-config/register.ts';
import { killSpawned, spawnRole } from './processes.ts';
import { quietSdk, sdkSaid } from './sdk-log.ts';
import { removeTemporary, sweepAbandoned, temporaryDirectory } from './temporary.ts';

quietSdk();

/**
 * One PostgreSQL and one Temporal dev server for each process that runs tests; the first test that needs one
 * starts it. With `--parallel` there are several such processes, which share nothing.
 */
type Stoppable = { pid: number; stop(): Promise<void> };

const started = new Map<string, Stoppable>();
const template = 'tocsin_template';
let databases = 0;
let namespaces = 0;

const postgres = once(async () => {
  const dir = temporaryDirectory();
  const server = await startPostgres({ dataDir: join(dir, 'postgres'), durable: false, log: console.log });
  keep(dir, 'postgres', server);
  return server;
});

const temporal = once(async () => {
  const dir = temporaryDirectory();
  const logFile = join(dir, 'temporal.log');
  const server = await startTemporal({ namespace: 'default', logFile, log: console.log });
  keep(dir, 'temporal', server);
  return server;
});

const migrated = once(async () => {
  await administer(`create database ${template}`);
  const env = { DATABASE_URL: await urlOf(template) };
  const migration = await spawnRole(join(import.meta.dirname, '../../db/migrate.ts'), [], env);
  const { code } = await migration.exited;
  if (code !== 0) throw new Error(`db/migrate.ts failed on an empty database:\n${migration.output()}`);
});

/**
 * URL of the PostgreSQL of this test run, database `tocsin`, without tables: tests create their own
 * databases.
 */
export async function postgresUrl(): Promise<string> {
  return (await postgres()).url;
}

/**
 * `host:port` of the Temporal server of this test run. It has the namespace `default` and our search
 * attributes.
 */
export async function temporalAddress(): Promise<string> {
  return (await temporal()).address;
}

/** Creates an empty, migrated database. `drop` also closes the connections to it. */
export async function freshDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  await migrated();
  databases += 1;
  const name = `test_${process.pid}_${databases}`;
  await administer(`create database ${name} template ${template}`);
  return { url: await urlOf(name), drop: () => administer(`drop database if exists ${name} with (force)`) };
}

/**
 * Creates a Temporal namespace with our search attributes, so that tests share no workflow and no task queue.
 */
export async function freshNamespace(): Promise<string> {
  namespaces += 1;
  const namespace = `test-${namespaces}`;
  const connection = await Connection.connect({ address: await temporalAddress() });
  try {
    await register(connection, { namespace });
  } finally {
    await connection.close();
  }
  return namespace;
}

async function urlOf(database: string): Promise<string> {
  const url = new URL(await postgresUrl());
  url.pathname = `/${database}`;
  return url.href;
}

async function administer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: await postgresUrl() });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function keep(dir: string, name: string, server: Stoppable): void {
  remember(join(dir, 'run'), name, server.pid);
  started.set(name, server);
}

/** For exits at which no teardown runs. SIGQUIT lets PostgreSQL free its shared memory. */
function killAll(): void {
  killSpawned();
  for (const [name, { pid }] of started) signalTo(pid, name === 'postgres' ? 'SIGQUIT' : 'SIGKILL');
  removeTemporary();
}

export const mochaHooks: Mocha.RootHookObject = {
  afterEach(this: Mocha.Context) {
    const lines = sdkSaid();
    if (this.currentTest?.state === 'failed') console.error(lines.join('\n'));
  },
};

function endServersWithProcess(): void {
  process.once('exit', killAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
}

// With --parallel, mocha ends the processes that run tests without a teardown.
if (process.env.MOCHA_WORKER_ID !== undefined) endServersWithProcess();

export async function mochaGlobalSetup(): Promise<void> {
  endServersWithProcess();
  await sweepAbandoned();
}

export async function mochaGlobalTeardown(): Promise<void> {
  killSpawned();
  await Promise.all([...started.values()].map((server) => server.stop()));
  started.clear();
  removeTemporary();
}
