import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { HOUR_MS, LEVELS, MINUTE_MS } from '../rules/fold.ts';

/**
 * From when to when there are events of a severity and a type, by the counts, to whole hours; null without
 * any. A type that never has a severity is the common case of a list that would look at every event of the
 * type, and find nothing.
 * @returns epoch milliseconds, `to` not included
 */
export async function hoursWith(
  db: Sql,
  severity: string,
  eventType: string,
): Promise<{ from: number; to: number } | null> {
  const { rows } = await sql<{ from: number | null; to: number | null }>`
    select min(first)::float8 as "from", max(last)::float8 as "to" from (
      select min(at) as first, max(at) + ${HOUR_MS}::bigint as last from event_totals
      where level = ${sql.lit(LEVELS.hourSeverityType)} and severity = ${severity} and event_type = ${eventType} and n > 0
      union all
      select min(minute), max(minute) + ${MINUTE_MS}::bigint from event_rollups
      where severity = ${severity} and event_type = ${eventType}
    ) hours`.execute(db);
  const { from, to } = rows[0]!;
  return from === null || to === null ? null : { from, to };
}
