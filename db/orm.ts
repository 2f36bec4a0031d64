import { UnderscoreNamingStrategy } from '@mikro-orm/core';
import { Migrator } from '@mikro-orm/migrations';
import { defineConfig, type InferKyselyDB, MikroORM, type SqlEntityManager } from '@mikro-orm/postgresql';
import type { ColumnType, Kysely } from 'kysely';
import type { Pool } from 'pg';
import { Liveness } from './connections/liveness.ts';
import { releaseBroken } from './connections/pool.ts';
import { KEEP_ALIVE_MS, withServerOptions } from './connections/server-options.ts';
import { entities } from './entities/index.ts';
import { migrationsList } from './migrations/index.ts';

export type Orm = MikroORM;
/** The tables of the entities, as MikroORM derives them. */
type EntityTables = InferKyselyDB<(typeof entities)[number]>;
/** Outside of entities, the driver returns times as text. A `Date` can be written. */
type AsRead<T> = Date extends T ? ColumnType<string | Exclude<T, Date>, T, T> : T;
/** The tables that have entities, with their columns. The typed builder knows only these. */
export type Database = {
  [Table in keyof EntityTables]: {
    [Column in keyof EntityTables[Table]]: AsRead<EntityTables[Table][Column]>;
  };
};
/**
 * A database for the typed builder and for raw SQL: `sql\`…\`.execute(db)`. Times are passed as epoch
 * milliseconds.
 */
export type Sql = Kysely<Database>;

/** Tables that the ORM does not manage: partitioned ones, and those that only raw SQL uses. */
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

/** Options that the application and the migrator share. */
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
      // Each migration commits by itself, so that its locks do not last until others are done.
      allOrNothing: false,
    },
    schemaGenerator: {
      skipTables: RAW_TABLES,
      // Migrations create the functions, so the ORM must ignore them.
      ignoreRoutines: true,
      disableForeignKeys: false,
      createForeignKeyConstraints: false,
    },
    driverOptions: {
      // The driver gets the whole URL, because MikroORM would drop everything after the question mark:
      // options and sslmode.
      connectionString: url,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      // If a process freezes in a transaction, PostgreSQL ends the transaction, so that its locks do not
      // stay.
      idle_in_transaction_session_timeout: 15_000,
      onPoolCreated(pool: Pool) {
        new Liveness(url).watch(pool);
        releaseBroken(pool);
      },
    },
  });
}

/**
 * The longest that PostgreSQL may work on one statement of a worker, in milliseconds. Judging takes
 * milliseconds and one part of a backfill a second, but housekeeping may take minutes after a long pause.
 */
const STATEMENT_MS = 5 * 60_000;

/**
 * Creates the ORM. It connects when needed, so if the database is down, the first query fails and not the
 * start.
 * @param statementMs the longest that PostgreSQL may work on one statement, in milliseconds
 */
export async function connect(url: string, pool = 10, statementMs = STATEMENT_MS): Promise<Orm> {
  const settings = { statement_timeout: String(statementMs) };
  return MikroORM.init(ormOptions(withServerOptions(url, settings), pool));
}

/** A unit of work of its own, outside of any transaction. */
export function managerOf(orm: Orm): SqlEntityManager {
  return orm.em.fork() as SqlEntityManager;
}

/** A database for raw SQL outside of any transaction. */
export function sqlOf(orm: Orm): Sql {
  return managerOf(orm).getKysely<Database>();
}

/** Runs `work` in a READ COMMITTED transaction. It commits, or rolls back if `work` throws. */
export async function transaction<T>(
  orm: Orm,
  work: (sql: Sql, em: SqlEntityManager) => Promise<T>,
): Promise<T> {
  return orm.em.fork().transactional(async (em) => {
    const manager = em as SqlEntityManager;
    return work(manager.getKysely<Database>(), manager);
  });
}
