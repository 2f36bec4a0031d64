import { type Receiver, receiver } from '../incidents/channels/receiver.ts';
import { ROLES, type RoleName, System } from '../support/system.ts';
import { waitFor } from '../support/wait-for.ts';

export interface Stage<Hook extends Receiver = Receiver> {
  system: System;
  /** What people are told of. */
  hook: Hook;
}

/**
 * A system of these roles and a webhook for the tests of the `describe` that this is called in: started
 * before the first, ended after the last. When a test fails, what the system's processes complained of is
 * printed.
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
 * Keeps `table` from being written until `act` is done, which begins once so many transactions stand before
 * it: in the middle of what they do, each time. `once` is called when the table is closed.
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
    // PostgreSQL itself may be what was killed.
    await client.query('rollback').catch(() => {});
  });
}
