import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Orm, Sql } from '../orm.ts';
import { Liveness } from './liveness.ts';
import { KEEP_ALIVE_MS } from './server-options.ts';

/**
 * A statement that each connection plans once. Planning an insert into partitions takes as long as inserting
 * thirty rows.
 */
export interface Statement {
  name: string;
  text: string;
}

/** A READ COMMITTED transaction whose statements don't wait for each other's answers. */
export interface PipelinedTransaction {
  /**
   * Sends a statement now. PostgreSQL takes them in the order sent, each with a snapshot of its own, so that
   * several cost one round trip. Once one has failed, all that follow do.
   */
  send<Row extends object>(statement: Statement, values?: unknown[]): Promise<pg.QueryResult<Row>>;
  /** For statements that are rare, one at a time. */
  db: Sql;
  /** Sends the commit. Rejects when something sent before has failed: then nothing is committed. */
  commit(): Promise<void>;
}

/** The longest that PostgreSQL works on one statement of an append, in milliseconds: its sender waits. */
const STATEMENT_MS = 10_000;

/**
 * Connections of their own for appends: what is sent ahead on one would stand in the way of whoever reads
 * rows by and by.
 */
export class AppendConnections {
  readonly #pool: pg.Pool;
  readonly #queries = new WeakMap<pg.PoolClient, Sql>();

  /** Connects lazily, as often as there are transactions at once, `max` times at the most. */
  constructor(orm: Orm, max: number) {
    const connectionString = orm.config.get('clientUrl')!;
    this.#pool = new pg.Pool({
      connectionString,
      max,
      pipeline: true,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      statement_timeout: STATEMENT_MS,
      idle_in_transaction_session_timeout: 15_000,
      allowExitOnIdle: true,
    });
    new Liveness(connectionString).watch(this.#pool);
    // A connection that PostgreSQL ends is told of by the statement under way, or by the next one.
    this.#pool.on('connect', (client) => client.on('error', () => {}));
    this.#pool.on('error', () => {});
  }

  /** Runs `work`, which commits; whatever it throws, nothing of it is kept. */
  async transaction<T>(work: (transaction: PipelinedTransaction) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken = false;
    try {
      atOnce(client);
      const begun = client.query('begin');
      const [result] = await Promise.all([work(this.#pipelined(client)), begun]);
      return result;
    } catch (error) {
      // Answered after everything that was sent before it: nothing is under way when the connection is given
      // back.
      broken = await client.query('rollback').then(
        () => false,
        () => true,
      );
      throw error;
    } finally {
      client.release(broken);
    }
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  #pipelined(client: pg.PoolClient): PipelinedTransaction {
    return {
      send: ({ name, text }, values) => {
        atOnce(client);
        return client.query({ name, text, values });
      },
      db: this.#queriesOn(client),
      async commit() {
        // PostgreSQL answers a commit of what has failed with a rollback, and no error.
        const { command } = await client.query('commit');
        if (command !== 'COMMIT') throw new Error('the transaction had failed before its commit');
      },
    };
  }

  #queriesOn(client: pg.PoolClient): Sql {
    const known = this.#queries.get(client);
    if (known) return known;
    const lent = { query: client.query.bind(client), release() {} } as pg.PoolClient;
    const pool = { connect: async () => lent, end: async () => {}, options: {} };
    const queries: Sql = new Kysely({ dialect: new PostgresDialect({ pool }) });
    this.#queries.set(client, queries);
    return queries;
  }
}

/**
 * Lets everything that is sent in this turn of the event loop go out in one write: each costs tens of
 * microseconds.
 */
function atOnce(client: pg.PoolClient): void {
  const { stream } = client.connection;
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}
