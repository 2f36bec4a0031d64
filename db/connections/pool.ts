import type { Pool, PoolClient } from 'pg';

type Query = (...args: unknown[]) => unknown;

/**
 * Gives back to the pool what a broken transaction held. Kysely releases the connection of a controlled
 * transaction (MikroORM's only kind) after a `rollback` that succeeds; on a connection that PostgreSQL ended
 * none does, nor does a `begin`. Without this, each transaction that PostgreSQL breaks off costs the pool a
 * connection for good.
 */
export function releaseBroken(pool: Pool): void {
  pool.on('connect', (client: PoolClient) => {
    const query = client.query.bind(client) as Query;
    client.query = ((...args: unknown[]) => {
      if (args[0] === 'begin') return begin(client, () => query(...args));
      if (args[0] === 'rollback') return rollback(client, () => query(...args));
      return query(...args);
    }) as PoolClient['query'];
  });
}

/** Nobody else releases the client of a transaction that never began. */
async function begin(client: PoolClient, query: () => unknown): Promise<unknown> {
  try {
    return await query();
  } catch (error) {
    client.release(error as Error);
    throw error;
  }
}

/** A connection that is gone has rolled back. The pool drops a client that has ended when it is released. */
async function rollback(client: PoolClient, query: () => unknown): Promise<unknown> {
  try {
    return await query();
  } catch {
    void Promise.resolve(client.end()).catch(() => {});
    return { command: 'ROLLBACK', rowCount: null, rows: [] };
  }
}
