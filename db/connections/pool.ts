import type { Pool, PoolClient } from 'pg';

type Query = (...args: unknown[]) => unknown;

/**
 * Returns connections of broken transactions to the pool. MikroORM uses Kysely's controlled transactions,
 * which release a connection only after a successful `rollback`. If PostgreSQL has closed the connection,
 * neither `rollback` nor `begin` succeeds. Without this function, each such transaction would cost the pool a
 * connection for ever.
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

/** If `begin` fails, nobody else releases the connection. */
async function begin(client: PoolClient, query: () => unknown): Promise<unknown> {
  try {
    return await query();
  } catch (error) {
    client.release(error as Error);
    throw error;
  }
}

/** A closed connection has rolled back already. The pool removes it when it is released. */
async function rollback(client: PoolClient, query: () => unknown): Promise<unknown> {
  try {
    return await query();
  } catch {
    void Promise.resolve(client.end()).catch(() => {});
    return { command: 'ROLLBACK', rowCount: null, rows: [] };
  }
}
