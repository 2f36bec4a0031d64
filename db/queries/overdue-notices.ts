import { sql } from 'kysely';
import type { Sql } from '../orm.ts';
import { instant } from '../time.ts';

/** Incidents with a notice from before `before` (epoch ms) that isn't done, oldest first. */
export async function overdueNotices(db: Sql, before: number, limit = 200): Promise<string[]> {
  const { rows } = await sql<{ incident_id: string }>`
    select incident_id from notices where not done and at < ${instant(before)}
    group by incident_id order by min(at) limit ${limit}`.execute(db);
  return rows.map(({ incident_id }) => incident_id);
}
