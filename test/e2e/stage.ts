import { type Receiver, receiver } from '../incidents/channels/receiver.ts';
import { ROLES, type RoleName, System } from '../support/system.ts';
import { waitFor } from '../support/wait-for.ts';

export interface Stage<Hook extends Receiver = Receiver> {
  system: System;
  /** The webhook that receives the notices. */
  hook: Hook;
}

/**
 * Starts a system with these roles and a webhook for the tests of the surrounding `describe`, and stops it
 * after the last one. If a test fails, it prints the warnings of the system's processes.
 */
export function stage(roles?: readonly RoleName[]): Stage;
export function stage<Hook extends Receiver>(
  roles: readonly RoleName[],
  makeHook: () => Promise<Hook>,
): Stage<Hook>;
export function stage(
  roles: readonly RoleName[] = ROLES,
  makeHook: () => Promise<Receiver> = receiver,
): Stage {
  const there = {} as Stage;
  before(async function () {
    this.timeout(180_000);
    there.hook = await makeHook();
    const channels = [{ kind: 'webhook', name: 'ops', url: there.hook.url }];
    there.system = await System.start(roles, { CHANNELS: JSON.stringify(channels) });
  });
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(there.system.complaints());
  });
  after(async () => {
    await there.system?.stop();
    await there.hook?.close();
  });
  return there;
}

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
