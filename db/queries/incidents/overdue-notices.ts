import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { instant } from '../../time.ts';

/**
 * Finds incidents with an unfinished notice from before `before` (epoch ms), except those in `except`, oldest
 * first.
 */
export async function overdueNotices(
  db: Sql,
  before: number,
  except: readonly string[],
  limit = 200,
): Promise<string[]> {
  const { rows } = await sql<{ incident_id: string }>`
    select incident_id from notices where not done and at < ${instant(before)} and incident_id <> all(${except}::uuid[])
    group by incident_id order by min(at) limit ${limit}`.execute(db);
  return rows.map(({ incident_id }) => incident_id);
}

/** Those of `ids` that have such a notice. */
export async function stillOverdue(db: Sql, before: number, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ incident_id: string }>`
    select distinct incident_id from notices
    where not done and at < ${instant(before)} and incident_id = any(${ids}::uuid[])`.execute(db);
  return rows.map(({ incident_id }) => incident_id);
}
