import { sql } from 'kysely';
import type { DeafSpan } from '../../../domain/system/deafness.ts';
import type { Sql } from '../../orm.ts';
import { instant } from '../../time.ts';
import { insertSpans } from './deaf-spans.ts';

/** One heartbeat. Times in epoch milliseconds, by the database's clock but for the events' own. */
export interface Beat {
  id: string;
  role: string;
  /** When the process began to beat. */
  startedAt: number;
  /** What it holds and did not hear is known up to here. */
  now: number;
  ingests: boolean;
  load: { buffered: number; inFlight: number; oldestUnappended: number | null };
  /** Spans of not hearing that changed since its last beat. */
  deaf: readonly DeafSpan[];
  /** Its last beat: it ends in order, and holds nothing. */
  ending?: boolean;
}

/** The database's clock, epoch milliseconds: the one that all processes share. */
export async function databaseNow(db: Sql): Promise<number> {
  const { rows } = await sql<{ now: number }>`
    select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now`.execute(db);
  return rows[0]!.now;
}

/**
 * Writes a beat and its deaf spans, in one statement. A beat that comes after a later one, because its
 * connection hung, changes nothing of the process's row. A process that was retired by mistake counts again
 * from its next beat; a beat from before it was retired brings it back no more.
 */
export async function beat(db: Sql, given: Beat): Promise<void> {
  const { id, role, startedAt, now, ingests, load, deaf, ending = false } = given;
  const spans = deaf.length === 0 ? sql`` : sql`with deaf as (${insertSpans(deaf)})`;
  await sql`
    ${spans}
    insert into processes as p
      (id, role, started_at, beat_at, ingests, oldest_unappended, in_flight, buffered, ended_at)
    values (${id}, ${role}, ${instant(startedAt)}, ${instant(now)}, ${ingests}, ${instant(load.oldestUnappended)},
      ${load.inFlight}, ${load.buffered}, ${instant(ending ? now : null)})
    on conflict (id) do update set beat_at = excluded.beat_at, oldest_unappended = excluded.oldest_unappended,
      in_flight = excluded.in_flight, buffered = excluded.buffered, ended_at = excluded.ended_at,
      retired_at = case when excluded.beat_at > p.retired_at then null else p.retired_at end
    where p.beat_at < excluded.beat_at`.execute(db);
}

/** A process that takes no events leaves without a trace. */
export async function leave(db: Sql, id: string): Promise<void> {
  await sql`delete from processes where id = ${id}`.execute(db);
}
