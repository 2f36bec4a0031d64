import { UnderscoreNamingStrategy } from '@mikro-orm/core';
import { Migrator } from '@mikro-orm/migrations';
import { defineConfig, MikroORM, type SqlEntityManager } from '@mikro-orm/postgresql';
import type { Kysely } from 'kysely';
import type { Pool } from 'pg';
import { Liveness } from './connections/liveness.ts';
import { releaseBroken } from './connections/pool.ts';
import { KEEP_ALIVE_MS, withServerOptions } from './connections/server-options.ts';
import { entities } from './entities/index.ts';
import { migrationsList } from './migrations/index.ts';

export type Orm = MikroORM;
/** For hot SQL: `sql\`…\`.execute(db)`. Times travel as epoch milliseconds. */
// biome-ignore lint/suspicious/noExplicitAny: raw SQL names its own row types
export type Sql = Kysely<any>;

/** Tables whose SQL is written by hand: partitioned ones, and those that only hot SQL touches. */
export const RAW_TABLES = [
  /^events/,
  /^event_/,
  /^window_(counts|times)/,
  /^rejection/,
  /^deaf_/,
  'rule_changes',
  'removed_samples',
  'housekeeping',
  'rule_groups',
  'rule_overflow',
  'rule_set',
  'wake_outbox',
  'pending_evaluations',
  'watermark',
  /^(past_)?received_/,
];

/** Options shared by the application and the migrator. */
export function ormOptions(url: string, pool = 10) {
  return defineConfig({
    clientUrl: url,
    entities,
    extensions: [Migrator],
    namingStrategy: UnderscoreNamingStrategy,
    forceUtcTimezone: true,
    pool: { min: 0, max: pool },
    migrations: {
      ...{ migrationsList, snapshot: false, tableName: 'migrations', transactional: true },
      // Each commits by itself: what one has locked must not wait for the work of another.
      allOrNothing: false,
    },
    schemaGenerator: {
      skipTables: RAW_TABLES,
      // Functions are made by migrations.
      ignoreRoutines: true,
      disableForeignKeys: false,
      createForeignKeyConstraints: false,
    },
    driverOptions: {
      // MikroORM itself takes the address out of the URL, and nothing that follows its question mark: no
      // options, no sslmode.
      connectionString: url,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      // A process that froze in a transaction must not hold what others wait for.
      idle_in_transaction_session_timeout: 15_000,
      onPoolCreated(pool: Pool) {
        new Liveness(url).watch(pool);
        releaseBroken(pool);
      },
    },
  });
}

/**
 * The longest that PostgreSQL works on one statement of a worker, in milliseconds. Judging takes milliseconds
 * and a portion of a backfill a second; what housekeeping folds or forgets after a long pause may take
 * minutes.
 */
const STATEMENT_MS = 5 * 60_000;

/**
 * Connects lazily: a database that is away is an error of the first query, not of start.
 * @param statementMs the longest that PostgreSQL may work on one statement, in milliseconds
 */
export async function connect(url: string, pool = 10, statementMs = STATEMENT_MS): Promise<Orm> {
  const settings = { statement_timeout: String(statementMs) };
  return MikroORM.init(ormOptions(withServerOptions(url, settings), pool));
}

/** Raw SQL outside of any transaction. */
export function sqlOf(orm: Orm): Sql {
  return (orm.em.fork() as SqlEntityManager).getKysely() as Sql;
}

/** Runs `work` in one READ COMMITTED transaction and commits, or rolls back and rethrows. */
export async function transaction<T>(
  orm: Orm,
  work: (sql: Sql, em: SqlEntityManager) => Promise<T>,
): Promise<T> {
  return orm.em.fork().transactional(async (em) => {
    const manager = em as SqlEntityManager;
    return work(manager.getKysely() as Sql, manager);
  });
}
