import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { instant } from '../../time.ts';

/** How many rows of each kind are checked in a round. */
const MOST = 25;

/** Finds what has waited for its workflow since before `before` (epoch ms), the longest first. */
export async function stuckRows(
  db: Sql,
  before: number,
): Promise<{ rules: string[]; incidents: string[]; producers: string[]; sources: string[] }> {
  const ids = async (query: ReturnType<typeof sql<{ id: string }>>) =>
    (await query.execute(db)).rows.map(({ id }) => id);
  const [rules, incidents, producers, sources] = await Promise.all([
    ids(sql`
      select rule_id as id from pending_evaluations where noted_at < ${instant(before)}
      group by rule_id order by min(noted_at) limit ${MOST}`),
    ids(sql`
      select incident_id as id from notices where not done and at < ${instant(before)}
      group by incident_id order by min(at) limit ${MOST}`),
    ids(sql`
      select id from producers where not paused and coalesce(appended_through, created_at) < ${instant(before)}
      order by appended_through nulls first limit ${MOST}`),
    ids(sql`
      select source_id as id from dead_letters
      where state = 'waiting' and failure = 'transient' and updated_at < ${instant(before)}
      group by source_id order by min(updated_at) limit ${MOST}`),
  ]);
  return { rules, incidents, producers, sources };
}
