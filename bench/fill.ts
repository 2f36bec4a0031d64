import { sql } from 'kysely';
import { type Orm, sqlOf } from '../db/orm.ts';
import { dayOf, ensureDay } from '../db/partitions.ts';
import { foldRollups } from '../db/queries/rules/fold.ts';
import { DAY_MS } from '../domain/events/event.ts';

/**
 * How many sources and types the generated events have. Each source has five of the types, because real
 * sources have a few.
 */
export const SOURCES = 40;
export const TYPES = 20;

/** How many days the events cover; the last day ends now. */
const DAYS = 30;

/**
 * A severity that only a handful of events have, spread over all days. Query planners misjudge such values.
 */
export const RARE_SEVERITY = 'fatal';
const RARE_EVERY = 1_000_000;

/**
 * Stores `events` generated events, evenly over the thirty days before `now` (epoch ms), with the counts that
 * appends would have written if there were no rules. Five million take about two minutes.
 */
export async function fillEvents(orm: Orm, events: number, now: number): Promise<void> {
  const from = now - DAYS * DAY_MS;
  for (let day = dayOf(from); day <= now; day += DAY_MS) await ensureDay(orm, day);
  const db = sqlOf(orm);
  const spacing = (DAYS * DAY_MS) / events;
  for (let part = 0; part < DAYS; part++) {
    const [first, last] = [part, part + 1].map((n) => Math.floor((n * events) / DAYS));
    await sql`
      with made as (
        insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
        select md5('event ' || i)::uuid, at, 'source-' || source,
          case when i % ${RARE_EVERY}::int = 7 then ${RARE_SEVERITY} when h < 0.02 then 'critical' when h < 0.1 then 'high'
            when h < 0.3 then 'medium' when h < 0.6 then 'low' else 'info' end,
          'type_' || (source * 3 + i % 5) % ${TYPES}::int,
          jsonb_build_object('host', 'web-' || i % 23, 'value', 50 + i % 50, 'unit', 'percent'), at
        from (
          select i, to_timestamp((${from}::float8 + i * ${spacing}::float8) / 1000) as at,
            1 + abs(hashint4(i)) % ${SOURCES}::int as source, abs(hashint4(i + 1)) / 2147483648.0 as h
          from generate_series(${first}::int, ${last! - 1}::int) i
        ) series
        returning occurred_at, severity, event_type
      )
      insert into event_rollups as r (minute, severity, event_type, slot, n)
      select (floor(extract(epoch from occurred_at) / 60) * 60000)::bigint as minute, severity, event_type, 0, count(*)
      from made group by 1, 2, 3
      on conflict (minute, severity, event_type, slot) do update set n = r.n + excluded.n`.execute(db);
    // Housekeeping and autovacuum would have done this meanwhile.
    await foldRollups(orm, now);
    await sql`vacuum event_rollups`.execute(db);
  }
  await sql`vacuum analyze events`.execute(db);
  await sql`vacuum analyze event_totals`.execute(db);
}
