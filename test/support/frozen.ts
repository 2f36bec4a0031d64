import { AsyncLocalStorage } from 'node:async_hooks';
import { MikroORM } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import type { Pool, PoolClient } from 'pg';
import { releaseBroken } from '../../db/connections/pool.ts';
import { type Orm, ormOptions, sqlOf } from '../../db/orm.ts';

type Query = (...args: unknown[]) => unknown;

/** A call that stopped before one of its SQL statements, as if its process had been frozen there. */
export interface FrozenCall {
  /**
   * Lets it continue. Resolves when it has ended, even with an error: the rows must be right in either case.
   */
  resume(): Promise<void>;
  /** Ends its open transaction, as PostgreSQL does if one is idle for too long. */
  end(): Promise<void>;
  /** True if it stopped inside a transaction, which holds locks. */
  readonly holds: boolean;
}

interface Gate {
  left: number;
  freeze(client: PoolClient): Promise<void>;
  inTransaction: boolean;
}

/** Processes that can be frozen before any of their SQL statements. They have their own connections. */
export class Freezer {
  readonly #orm: Orm;
  readonly #running: AsyncLocalStorage<Gate>;

  private constructor(running: AsyncLocalStorage<Gate>, orm: Orm) {
    this.#orm = orm;
    this.#running = running;
  }

  static async start(url: string, connections: number): Promise<Freezer> {
    const running = new AsyncLocalStorage<Gate>();
    const options = ormOptions(url, connections);
    const onPoolCreated = (pool: Pool) => {
      releaseBroken(pool);
      pool.on('connect', (client: PoolClient) => gated(client, running));
    };
    const orm = await MikroORM.init({
      ...options,
      driverOptions: { ...options.driverOptions, onPoolCreated },
    });
    return new Freezer(running, orm);
  }

  stop(): Promise<void> {
    return this.#orm.close(true);
  }

  /** Runs `work` up to its statement number `at`, from 0. Returns null if it ends before that. */
  async run(work: (orm: Orm) => Promise<void>, at: number): Promise<FrozenCall | null> {
    const stopped = Promise.withResolvers<PoolClient>();
    const resumed = Promise.withResolvers<void>();
    const gate: Gate = {
      left: at,
      inTransaction: false,
      freeze: (client) => {
        stopped.resolve(client);
        return resumed.promise;
      },
    };
    const ended = this.#running.run(gate, () => work(this.#orm));
    // A frozen call may fail when it continues, because others took its place or its connection is gone.
    const over = ended.then(
      () => {},
      () => {},
    );
    const client = await Promise.race([stopped.promise, ended.then(() => null)]);
    if (client === null) return null;
    const holds = gate.inTransaction;
    return {
      holds,
      resume() {
        resumed.resolve();
        return over;
      },
      end: async () => {
        if (!holds) return;
        const { processID } = client as unknown as { processID: number };
        await this.#running.exit(() =>
          sql`select pg_terminate_backend(${processID}, 5000)`.execute(sqlOf(this.#orm)),
        );
      },
    };
  }
}

function gated(client: PoolClient, running: AsyncLocalStorage<Gate>): void {
  const query = client.query.bind(client) as Query;
  client.query = (async (...args: unknown[]) => {
    const gate = running.getStore();
    if (!gate) return query(...args);
    if (gate.left-- === 0) await gate.freeze(client);
    if (args[0] === 'begin') gate.inTransaction = true;
    if (args[0] === 'commit' || args[0] === 'rollback') gate.inTransaction = false;
    return query(...args);
  }) as unknown as PoolClient['query'];
}
