import { sql } from 'kysely';
import { type Orm, type Sql, transaction } from './orm.ts';
import { PARTITIONED } from './partitions.ts';

/** Tables that the application only reads: the migrations that were applied, and the audit log. */
const READ_ONLY = ['migrations'];
const APPEND_ONLY = ['audit_log'];

/**
 * Gives `role`, which the API and the workers log in as, the rights it needs. The role owns the partitioned
 * tables, because it creates and drops partitions. To the audit log it can only add. Running this again
 * changes nothing.
 */
export async function grantTo(orm: Orm, role: string): Promise<void> {
  await transaction(orm, async (db) => {
    // A long-running reader of a table whose owner changes must not make everybody else wait.
    await sql`set local lock_timeout = '10s'`.execute(db);
    for (const { name, mine } of await tables(db)) {
      const table = sql.table(name);
      const to = sql.id(role);
      if (isPartitioned(name)) {
        if (mine) await sql`alter table ${table} owner to ${to}`.execute(db);
        continue;
      }
      await sql`revoke all on ${table} from ${to}`.execute(db);
      if (READ_ONLY.includes(name)) await sql`grant select on ${table} to ${to}`.execute(db);
      else if (APPEND_ONLY.includes(name)) await sql`grant select, insert on ${table} to ${to}`.execute(db);
      else await sql`grant select, insert, update, delete on ${table} to ${to}`.execute(db);
    }
    await sql`grant usage on all sequences in schema public to ${sql.id(role)}`.execute(db);
    await sql`grant execute on all functions in schema public to ${sql.id(role)}`.execute(db);
  });
}

/** True for partitioned tables and their partitions. */
const isPartitioned = (name: string) =>
  PARTITIONED.some((parent) => name === parent || new RegExp(`^${parent}_[0-9]{8}$`).test(name));

/** The tables of the schema. `mine`: owned by the current user. */
async function tables(db: Sql): Promise<{ name: string; mine: boolean }[]> {
  const { rows } = await sql<{ name: string; mine: boolean }>`
    select c.relname as name, c.relowner = current_user::regrole as mine
    from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    order by c.relname`.execute(db);
  return rows;
}
