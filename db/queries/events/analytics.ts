import { type RawBuilder, sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { ms } from '../../time.ts';
import { HOUR_MS, LEVELS } from '../rules/fold.ts';

/** The whole minutes in [from, to); epoch milliseconds. */
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

/** Totals: events from the rollups, incidents from their table, and the time of the latest event. */
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
 * Counts events by severity, the most frequent first. Deletions add negative counts, so a severity may sum to
 * zero; it is omitted.
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
 * Counts events by step, in order of time; steps without events are omitted. `step` is in milliseconds and a
 * multiple of a minute. The steps are summed here, because for the 43,200 minutes of thirty days PostgreSQL
 * would take twice as long. The rows come as two long values, because the driver is slow with so many rows.
 * The numbers are binary doubles, which are faster to write and read than digits.
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
  // The parts come almost sorted. Sorting them is faster than as many look-ups in a map.
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
 * Counts each event of a range once: from the coarsest totals that fit, plus the rollups that are not folded
 * yet. Both must be read in one statement. If a fold came in between, its events would be counted twice or
 * not at all. `by: 'hour'`: `at` is an hour, but a minute at the ends of the range. `by: 'minute'`: there is
 * no severity.
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
