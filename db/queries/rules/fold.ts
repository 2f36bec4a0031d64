import { sql } from 'kysely';
import { LOCKS } from '../../locks.ts';
import { type Orm, transaction } from '../../orm.ts';

/**
 * The levels of `event_totals`, each in its own partition. Each level contains every folded event once, so a
 * query reads one level for any one time range.
 */
export const LEVELS = { minute: 0, minuteSeverity: 1, hourSeverity: 2, hourSeverityType: 3 } as const;

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

/** Rollups younger than this are not folded, because appends still add to them. Milliseconds. */
const SETTLED_AFTER_MS = 5 * MINUTE_MS;

/**
 * How many rollups one transaction folds: about 0.1 s of work. The delete finds them by their `ctid`. A join
 * by their keys took minutes, because PostgreSQL used statistics from when the table was empty and compared
 * each row with all others. A rollup that changes meanwhile gets another `ctid` and is left for the next
 * round.
 */
const CHUNK = 10_000;

/**
 * How many chunks one call folds. A flood of old events is spread over several rounds, so that none takes
 * long.
 */
const MOST_CHUNKS = 100;

/**
 * Moves rollups of past minutes into the totals that analytics read. Each chunk is one transaction, so a
 * count is either in one table or in the other. Late events make new rollups, which the next call moves. Rows
 * that an append has locked are skipped, so this never waits for an append; an append may wait for one chunk.
 * @param now epoch ms
 * @param progress called after every chunk; if it throws, the call ends
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
    // Only one process folds at a time. Two would add to the same totals in different orders and deadlock.
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
