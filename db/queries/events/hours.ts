import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { HOUR_MS, LEVELS, MINUTE_MS } from '../rules/fold.ts';

/**
 * The whole hours in which events of a severity and a type exist, by the counts; null if there are none.
 * Without this, a list by a severity that the type never has would read every event of the type and find
 * nothing.
 * @returns epoch milliseconds, `to` excluded
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
