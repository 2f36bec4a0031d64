import { type RawBuilder, sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { ms } from '../../time.ts';
import { HOUR_MS, LEVELS } from '../rules/fold.ts';

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
      (select coalesce(sum(n), 0)::float8 from (${counts({}, { by: 'hour' })}) c) as total_events,
      (select count(*)::float8 from alert_incidents) as total_alerts,
      (select ${ms('occurred_at')} from events
        order by occurred_at desc, event_id desc limit 1) as latest`.execute(db);
  return rows[0]!;
}

/**
 * Events by severity, the most frequent first. What was removed is counted out again, so that nothing may be
 * left.
 */
export async function severityDistribution(
  db: Sql,
  range: MinuteRange,
): Promise<{ severity: string; count: number }[]> {
  const { rows } = await sql<{ severity: string; count: number }>`
    select severity, sum(n)::float8 as count from (${counts(range, { by: 'hour' })}) c
    group by severity having sum(n) > 0 order by count desc, severity`.execute(db);
  return rows;
}

/**
 * Events by step, in order of time; steps without events are left out. `step` in milliseconds, a multiple of
 * a minute. Steps are summed up here: for the 43,200 minutes of thirty days PostgreSQL would take twice as
 * long. The rows come as two long values, because the driver needs more time for so many rows than
 * PostgreSQL; and as binary doubles, which PostgreSQL writes and Node reads faster than digits.
 */
export async function timeSeries(
  db: Sql,
  range: MinuteRange,
  step: number,
): Promise<{ minute: number; count: number }[]> {
  const by = step % HOUR_MS === 0 ? 'hour' : 'minute';
  const { rows } = await sql<{ times: Buffer | null; numbers: Buffer | null }>`
    select string_agg(float8send(at::float8), '') as times, string_agg(float8send(n::float8), '') as numbers
    from (${counts(range, { by })}) c`.execute(db);
  const { times, numbers } = rows[0]!;
  if (times === null || numbers === null) return [];
  const parts: { minute: number; count: number }[] = [];
  for (let i = 0; i < times.length; i += 8) {
    parts.push({ minute: Math.floor(times.readDoubleBE(i) / step) * step, count: numbers.readDoubleBE(i) });
  }
  // They come almost in order, which sorts faster than a map of as many finds.
  parts.sort((a, b) => a.minute - b.minute);
  const points: typeof parts = [];
  for (const part of parts) {
    const last = points.at(-1);
    if (last?.minute === part.minute) last.count += part.count;
    else points.push(part);
  }
  return points.filter(({ count }) => count > 0);
}

/**
 * The counts of a range, each event once: what is folded, from the coarsest totals that fit, and what is not,
 * from the rollups. To be read in one statement: what is folded between two would be seen twice or not at
 * all. By hour, `at` is the hour in the middle of the range and the minute at its ends; by minute there is no
 * severity.
 */
function counts({ from, to }: MinuteRange, { by }: { by: 'hour' | 'minute' }): RawBuilder<unknown> {
  const unfolded = sql`
    select minute as at, severity, sum(n)::bigint as n from event_rollups where ${within('minute', from, to)}
    group by minute, severity`;
  if (by === 'minute') return sql`${totals(LEVELS.minute, from, to)} union all ${unfolded}`;
  const firstHour = from === undefined ? undefined : Math.ceil(from / HOUR_MS) * HOUR_MS;
  const lastHour = to === undefined ? undefined : Math.floor(to / HOUR_MS) * HOUR_MS;
  const inOneHour = firstHour !== undefined && lastHour !== undefined && firstHour > lastHour;
  const parts = inOneHour
    ? [totals(LEVELS.minuteSeverity, from, to)]
    : [
        totals(LEVELS.hourSeverity, firstHour, lastHour),
        ...(from === firstHour ? [] : [totals(LEVELS.minuteSeverity, from, firstHour)]),
        ...(to === lastHour ? [] : [totals(LEVELS.minuteSeverity, lastHour, to)]),
      ];
  return sql.join([...parts, unfolded], sql` union all `);
}

function totals(level: number, from?: number, to?: number): RawBuilder<unknown> {
  return sql`
    select at, severity, n from event_totals where level = ${sql.lit(level)} and ${within('at', from, to)}`;
}

function within(column: string, from?: number, to?: number): RawBuilder<unknown> {
  const conditions = [sql`true`];
  if (from !== undefined) conditions.push(sql`${sql.ref(column)} >= ${from}::bigint`);
  if (to !== undefined) conditions.push(sql`${sql.ref(column)} < ${to}::bigint`);
  return sql.join(conditions, sql` and `);
}
