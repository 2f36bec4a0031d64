import { sql } from 'kysely';
import { LOCKS } from '../../locks.ts';
import { type Orm, transaction } from '../../orm.ts';

/**
 * What `event_totals` counts by; a partition each. Each level has every folded event once, so a query reads
 * one of them for any one stretch of time.
 */
export const LEVELS = { minute: 0, minuteSeverity: 1, hourSeverity: 2, hourSeverityType: 3 } as const;

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

/** Rollups younger than this are left to the appends that still add to them, in milliseconds. */
const SETTLED_AFTER_MS = 5 * MINUTE_MS;

/**
 * Rollups that one transaction folds: about 0.1 s of work. The delete finds them again by their `ctid`. A
 * join by their keys took minutes: with statistics from when the table was empty, PostgreSQL compared each
 * row with all others. A rollup that changed meanwhile has another `ctid`, and is left to the next round.
 */
const CHUNK = 10_000;

/** Chunks of one call: a flood of old events is folded over several rounds, none of them long. */
const MOST_CHUNKS = 100;

/**
 * Moves rollups of minutes that are over into the totals that analytics read, in chunks of one transaction
 * each: a count is in one table or in the other, never in both. Late events make new rollups, which the next
 * call moves. Rows that an append has in hand are passed over, so that this never waits for an append; it may
 * keep one waiting for one chunk.
 * @param now epoch ms
 * @param progress called after every chunk; what it throws ends the fold
 * @returns how many rollups were moved
 */
export async function foldRollups(orm: Orm, now: number, progress = () => {}): Promise<number> {
  const before = Math.floor((now - SETTLED_AFTER_MS) / MINUTE_MS) * MINUTE_MS;
  let folded = 0;
  for (let chunk = 0; chunk < MOST_CHUNKS; chunk++) {
    const moved = await foldChunk(orm, before);
    folded += moved;
    progress();
    if (moved < CHUNK) break;
  }
  return folded;
}

async function foldChunk(orm: Orm, before: number): Promise<number> {
  return transaction(orm, async (db) => {
    // One at a time: two would add to the same totals in different orders.
    const { rows: lock } = await sql<{ ours: boolean }>`
      select pg_try_advisory_xact_lock(${LOCKS.fold}) as ours`.execute(db);
    if (!lock[0]!.ours) return 0;
    const { rows } = await sql<{ n: number }>`
      with gone as (
        delete from event_rollups where ctid = any (array(
          select ctid from event_rollups where minute < ${before}::bigint
          order by minute limit ${CHUNK} for update skip locked))
        returning minute, severity, event_type, n, minute - minute % ${HOUR_MS}::bigint as hour
      ), folded as (
        insert into event_totals as t (level, at, severity, event_type, n)
        select l.level, l.at, l.severity, l.event_type, sum(n) from gone cross join lateral (values
          (${LEVELS.minute}::int, minute, '', ''),
          (${LEVELS.minuteSeverity}::int, minute, severity, ''),
          (${LEVELS.hourSeverity}::int, hour, severity, ''),
          (${LEVELS.hourSeverityType}::int, hour, severity, event_type)) as l(level, at, severity, event_type)
        group by 1, 2, 3, 4
        on conflict (level, at, severity, event_type) do update set n = t.n + excluded.n
      )
      select count(*)::int as n from gone`.execute(db);
    return rows[0]!.n;
  });
}
