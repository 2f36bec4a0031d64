import { type RawBuilder, sql } from 'kysely';
import type { Sql } from '../orm.ts';
import { ms } from '../time.ts';

/** Whole minutes that lie in [from, to); epoch milliseconds. */
export interface MinuteRange {
  from?: number;
  to?: number;
}

export interface Summary {
  total_events: number;
  total_alerts: number;
  /** Epoch milliseconds; null without events. */
  latest: number | null;
}

/** Events counted from the rollups, incidents from their table, and the time of the latest event. */
export async function summary(db: Sql): Promise<Summary> {
  const { rows } = await sql<Summary>`
    select
      (select coalesce(sum(n), 0)::float8 from event_rollups) as total_events,
      (select count(*)::float8 from alert_incidents) as total_alerts,
      (select ${ms('occurred_at')} from events
        order by occurred_at desc, event_id desc limit 1) as latest`.execute(db);
  return rows[0]!;
}

/** Events by severity, the most frequent first. What was removed is counted out again, so that nothing may be left. */
export async function severityDistribution(
  db: Sql,
  range: MinuteRange,
): Promise<{ severity: string; count: number }[]> {
  const { rows } = await sql<{ severity: string; count: number }>`
    select severity, sum(n)::float8 as count from event_rollups where ${within(range)}
    group by severity having sum(n) > 0 order by count desc, severity`.execute(db);
  return rows;
}

/** Events by step, in order of time; steps without events are left out. `step` in milliseconds, a multiple of a minute. */
export async function timeSeries(
  db: Sql,
  range: MinuteRange,
  step: number,
): Promise<{ minute: number; count: number }[]> {
  const { rows } = await sql<{ minute: number; count: number }>`
    select (minute - minute % ${step}::bigint)::float8 as minute, sum(n)::float8 as count
    from event_rollups where ${within(range)}
    group by 1 having sum(n) > 0 order by 1`.execute(db);
  return rows;
}

function within({ from, to }: MinuteRange): RawBuilder<unknown> {
  const conditions = [sql`true`];
  if (from !== undefined) conditions.push(sql`minute >= ${from}::bigint`);
  if (to !== undefined) conditions.push(sql`minute < ${to}::bigint`);
  return sql.join(conditions, sql` and `);
}
