import { sql } from 'kysely';
import type { Event } from '../../../domain/events/event.ts';
import type { Sql } from '../../orm.ts';

/** Keeps events until they are stored, in the transaction of what they tell of. */
export async function queueEvents(db: Sql, events: readonly Event[]): Promise<void> {
  await sql`
    insert into received_events (event_id, event)
    select (e->>'event_id')::uuid, e from jsonb_array_elements(${JSON.stringify(events)}::jsonb) e
    order by 1 on conflict do nothing`.execute(db);
}

/**
 * Events that have waited for longer than `olderThanMs`: those of a process that ended before it stored them.
 */
export async function queuedEvents(db: Sql, olderThanMs: number, limit: number): Promise<Event[]> {
  const { rows } = await sql<{ event: Event }>`
    select event from received_events
    where created_at <= now() - ${olderThanMs}::double precision * interval '1 millisecond'
    order by event_id limit ${limit}`.execute(db);
  return rows.map(({ event }) => event);
}

/** Forgets events that are stored. */
export async function unqueueEvents(db: Sql, ids: readonly string[]): Promise<void> {
  await sql`delete from received_events where event_id = any(${ids}::uuid[])`.execute(db);
}
