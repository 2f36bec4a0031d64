import type { System } from '../support/system.ts';
import { waitFor } from '../support/wait-for.ts';

/**
 * Locks `table`, waits until so many transactions wait for it, and then runs `act`: it happens in the middle
 * of their work. `once` is called when the table is locked.
 */
export async function whileWaiting(
  system: System,
  { table, transactions, once }: { table: string; transactions: number; once?: () => void },
  act: () => Promise<void>,
): Promise<void> {
  await system.connected(async (client) => {
    await client.query(`begin; lock table ${table} in share row exclusive mode`);
    once?.();
    await waitFor(
      async () => {
        const { rows } = await client.query<{ n: number }>(
          'select count(distinct pid)::int as n from pg_locks where not granted and relation = $1::regclass',
          [table],
        );
        return rows[0]!.n >= transactions;
      },
      { what: `${transactions} transactions that wait for ${table}`, timeoutMs: 60_000 },
    );
    await act();
    // PostgreSQL itself may have been killed.
    await client.query('rollback').catch(() => {});
  });
}
