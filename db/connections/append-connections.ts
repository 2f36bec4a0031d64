import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Orm, Sql } from '../orm.ts';
import { Liveness } from './liveness.ts';
import { KEEP_ALIVE_MS } from './server-options.ts';

/**
 * A prepared statement. Each connection plans it once, because planning an insert into partitions takes as
 * long as inserting thirty rows.
 */
export interface Statement {
  name: string;
  text: string;
}

/** A READ COMMITTED transaction that sends statements without waiting for the answers to earlier ones. */
export interface PipelinedTransaction {
  /**
   * Sends a statement now. PostgreSQL runs statements in the order sent, each with its own snapshot, so
   * several of them cost one round trip. If one fails, all that follow fail too.
   */
  send<Row extends object>(statement: Statement, values?: unknown[]): Promise<pg.QueryResult<Row>>;
  /** Runs rare statements, one at a time. */
  db: Sql;
  /** Commits. It rejects if a statement failed; then nothing is committed. */
  commit(): Promise<void>;
}

/**
 * The longest that PostgreSQL may work on one statement of an append, in milliseconds. The sender waits for
 * it.
 */
const STATEMENT_MS = 10_000;

/**
 * A pool of connections for appends only. Appends send several statements ahead, which would delay other
 * users of the same connection.
 */
export class AppendConnections {
  readonly #pool: pg.Pool;
  readonly #queries = new WeakMap<pg.PoolClient, Sql>();

  /** Connects when needed: one connection for each concurrent transaction, at most `max`. */
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
    // If PostgreSQL closes a connection, the current statement or the next one reports it. So this event is
    // ignored.
    this.#pool.on('connect', (client) => client.on('error', () => {}));
    this.#pool.on('error', () => {});
  }

  /** Runs `work`, which must commit. If it throws, nothing is stored. */
  async transaction<T>(work: (transaction: PipelinedTransaction) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken = false;
    try {
      atOnce(client);
      const begun = client.query('begin');
      const [result] = await Promise.all([work(this.#pipelined(client)), begun]);
      return result;
    } catch (error) {
      // The rollback is answered after everything sent before it. So nothing is running when the connection
      // goes back to the pool.
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
        // If a statement failed, PostgreSQL answers a commit with ROLLBACK instead of an error.
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
 * Collects what is sent in this turn of the event loop into one write, because each write costs tens of
 * microseconds.
 */
function atOnce(client: pg.PoolClient): void {
  const { stream } = client.connection;
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}
