import { sql } from 'kysely';
import type { DeafSpan } from '../../../domain/system/deafness.ts';
import type { Sql } from '../../orm.ts';
import { instant } from '../../time.ts';
import { insertSpans } from './deaf-spans.ts';

/** One heartbeat. Times in epoch milliseconds, by the database's clock, except for event times. */
export interface Beat {
  id: string;
  role: string;
  /** When the process sent its first heartbeat. */
  startedAt: number;
  /** The time up to which the process knows what it holds and what it missed. */
  now: number;
  ingests: boolean;
  load: { buffered: number; inFlight: number; oldestUnappended: number | null };
  /** Deaf spans that changed since the last heartbeat. */
  deaf: readonly DeafSpan[];
  /** True for the last heartbeat of a process that ends in order and holds nothing. */
  ending?: boolean;
}

/** The database's clock, in epoch milliseconds. All processes share it. */
export async function databaseNow(db: Sql): Promise<number> {
  const { rows } = await sql<{ now: number }>`
    select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now`.execute(db);
  return rows[0]!.now;
}

/**
 * Stores a heartbeat and its deaf spans in one statement. A heartbeat that arrives after a newer one, because
 * its connection hung, does not change the process's row. The next heartbeat of a process that was retired by
 * mistake ends its retirement; one from before the retirement does not.
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

/** Removes the row of a process that receives no events, when it ends. */
export async function leave(db: Sql, id: string): Promise<void> {
  await sql`delete from processes where id = ${id}`.execute(db);
}
