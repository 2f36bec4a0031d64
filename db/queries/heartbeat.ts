import { sql } from 'kysely';
import type { Sql } from '../orm.ts';
import { instant } from '../time.ts';

/** One heartbeat. Times in epoch milliseconds. */
export interface Beat {
  id: string;
  role: string;
  startedAt: number;
  now: number;
  ingests: boolean;
  load: { buffered: number; inFlight: number; oldestUnappended: number | null };
  held: { at: number; until: number } | null;
}

export async function beat(db: Sql, { id, role, startedAt, now, ingests, load, held }: Beat): Promise<void> {
  await sql`
    insert into processes (id, role, started_at, beat_at, ingests, oldest_unappended, held_at, held_until, in_flight, buffered)
    values (${id}, ${role}, ${instant(startedAt)}, ${instant(now)}, ${ingests}, ${instant(load.oldestUnappended)},
      ${instant(held?.at ?? null)}, ${instant(held?.until ?? null)}, ${load.inFlight}, ${load.buffered})
    on conflict (id) do update set beat_at = excluded.beat_at, oldest_unappended = excluded.oldest_unappended,
      held_at = excluded.held_at, held_until = excluded.held_until, in_flight = excluded.in_flight, buffered = excluded.buffered`.execute(
    db,
  );
}

/** A process that takes no events leaves without a trace. */
export async function leave(db: Sql, id: string): Promise<void> {
  await sql`delete from processes where id = ${id}`.execute(db);
}
