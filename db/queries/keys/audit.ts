import { type RawBuilder, sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';

/** How long audit entries are kept, in days: from one yearly review to the next. */
export const AUDIT_DAYS = 400;

/** `at` in epoch ms. */
export interface AuditRow {
  id: string;
  at: number;
  principal_id: string | null;
  principal: string;
  address: string | null;
  action: string;
  target: string;
  detail: Record<string, unknown>;
  status: number | null;
}

/** Writes an entry that says what is about to be done. */
export async function insertAudit(db: Sql, row: AuditRow): Promise<void> {
  await sql`
    insert into audit_log (id, at, principal_id, principal, address, action, target, detail, status)
    values (${row.id}::uuid, ${instant(row.at)}, ${row.principal_id}::uuid, ${row.principal}, ${row.address},
            ${row.action}, ${row.target}, ${JSON.stringify(row.detail)}::jsonb, ${row.status})`.execute(db);
}

/** Adds the outcome to an entry. An entry that has one keeps it. */
export async function settleAudit(
  db: Sql,
  { id, status, target }: Pick<AuditRow, 'id' | 'target'> & { status: number },
): Promise<void> {
  await sql`select settle_audit(${id}::uuid, ${status}::smallint, ${target})`.execute(db);
}

/**
 * Lists the audit log from new to old; `from` is included, `to` is excluded. `after`: only entries that
 * follow this one.
 */
export async function listAudit(
  db: Sql,
  filter: { principal_id?: string; action?: string; from?: number; to?: number },
  { after, limit }: { after?: { at: number; id: string }; limit: number },
): Promise<AuditRow[]> {
  const { principal_id, action, from, to } = filter;
  const conditions: RawBuilder<unknown>[] = [sql`true`];
  if (principal_id !== undefined) conditions.push(sql`principal_id = ${principal_id}::uuid`);
  if (action !== undefined) conditions.push(sql`action = ${action}`);
  if (from !== undefined) conditions.push(sql`at >= ${instant(from)}`);
  if (to !== undefined) conditions.push(sql`at < ${instant(to)}`);
  if (after) conditions.push(sql`(at, id) < (${instant(after.at)}, ${after.id}::uuid)`);
  const { rows } = await sql<AuditRow>`
    select id, ${ms('at')} as at, principal_id, principal, address, action, target, detail, status
    from audit_log where ${sql.join(conditions, sql` and `)}
    order by audit_log.at desc, id desc limit ${limit}`.execute(db);
  return rows;
}

/** Removes entries from before `before` (epoch ms), but never entries younger than `AUDIT_DAYS`. */
export async function forgetAudit(db: Sql, before: number): Promise<void> {
  await sql`select forget_audit(${instant(before)})`.execute(db);
}
