import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Config, ConfigError, loadConfig } from '../config.ts';
import { withServerOptions } from './connections/server-options.ts';
import { grantTo } from './grants.ts';
import { LOCKS } from './locks.ts';
import { connect, type Orm } from './orm.ts';
import { ensurePartitions } from './partitions.ts';

/**
 * The longest that a migration waits for a lock, in milliseconds. Everybody who comes later waits behind it,
 * appends included. So it gives up and tries again.
 */
const LOCK_MS = 2000;
/** How long it tries, and the pause between attempts, in milliseconds. */
const TRY_FOR_MS = 10 * 60_000;
const PAUSE_MS = 1000;

/**
 * Applies the missing migrations and returns their names. It has no statement timeout, because creating an
 * index may take long.
 */
async function migrate(url: string): Promise<string[]> {
  const orm = await connect(withServerOptions(url, { lock_timeout: `${LOCK_MS}` }), 2, 0);
  try {
    return await applyMissing(orm);
  } finally {
    await orm.close(true);
  }
}

async function applyMissing(orm: Orm): Promise<string[]> {
  const missing = (await orm.migrator.getPending()).map(({ name }) => name);
  const until = performance.now() + TRY_FOR_MS;
  for (;;) {
    try {
      await orm.migrator.up();
      return missing;
    } catch (error) {
      if (!isLockTimeout(error) || performance.now() > until) throw error;
      console.log('a table is in use: the migration tries again');
      await sleep(PAUSE_MS);
    }
  }
}

/** True for PostgreSQL's lock_not_available inside any wrappers. */
function isLockTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (error as { code?: unknown }).code === '55P03' || isLockTimeout(error.cause);
}

/** Creates the partitions around today, and grants the application's role its rights. */
async function prepare({ DATABASE_URL, DATABASE_GRANT_TO }: Config): Promise<void> {
  const orm = await connect(DATABASE_URL, 2);
  try {
    await ensurePartitions(orm, Date.now());
    if (DATABASE_GRANT_TO) await grantTo(orm, DATABASE_GRANT_TO);
  } finally {
    await orm.close(true);
  }
}

/**
 * Updates the schema and creates the partitions around today. It may run at any time, and several times at
 * once.
 */
try {
  const config = loadConfig();
  // The lock lasts as long as this connection, so that migrators run one after the other.
  const lock = new pg.Client(config.DATABASE_URL);
  await lock.connect();
  await lock.query('select pg_advisory_lock($1)', [LOCKS.migration]);
  try {
    const applied = await migrate(config.DATABASE_URL);
    await prepare(config);
    console.log(applied.length > 0 ? `migrated: ${applied.join(', ')}` : 'schema is up to date');
  } finally {
    await lock.end();
  }
} catch (error) {
  const reason =
    error instanceof ConfigError ? error.message : `migration failed: ${(error as Error).message}`;
  console.error(reason);
  process.exitCode = 1;
}
