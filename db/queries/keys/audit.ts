import { sql } from 'kysely';
import { AuditEntity, type AuditEntry } from '../../entities/audit.ts';
import { managerOf, type Orm, type Sql } from '../../orm.ts';
import { following, type PageOf } from '../../paging.ts';
import { instant } from '../../time.ts';

/** How long audit entries are kept, in days: from one yearly review to the next. */
export const AUDIT_DAYS = 400;

/** Writes an entry that says what is about to be done. */
export async function insertAudit(orm: Orm, entry: AuditEntry): Promise<void> {
  await managerOf(orm).insert(AuditEntity, entry);
}

/**
 * Adds the outcome to an entry. An entry that has one keeps it. A function of the database does it, because
 * the application may only read and insert there.
 */
export async function settleAudit(
  db: Sql,
  { id, status, target }: Pick<AuditEntry, 'id' | 'target'> & { status: number },
): Promise<void> {
  await sql`select settle_audit(${id}::uuid, ${status}::smallint, ${target})`.execute(db);
}

/**
 * Lists the audit log from new to old; `from` is included, `to` is excluded. `after`: only entries that
 * follow this one.
 */
export async function listAudit(
  orm: Orm,
  { principalId, action, from, to }: { principalId?: string; action?: string; from?: number; to?: number },
  { after, limit }: PageOf,
): Promise<AuditEntry[]> {
  const filter = {
    ...(principalId === undefined ? {} : { principalId }),
    ...(action === undefined ? {} : { action }),
    at: {
      ...(from === undefined ? {} : { $gte: new Date(from) }),
      ...(to === undefined ? {} : { $lt: new Date(to) }),
    },
  };
  return managerOf(orm).find(
    AuditEntity,
    { $and: [filter, following('at', after)] },
    { orderBy: { at: 'desc', id: 'desc' }, limit },
  );
}

/** Removes entries from before `before` (epoch ms), but never entries younger than `AUDIT_DAYS`. */
export async function forgetAudit(db: Sql, before: number): Promise<void> {
  await sql`select forget_audit(${instant(before)})`.execute(db);
}
