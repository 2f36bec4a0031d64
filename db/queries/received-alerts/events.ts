import { sql } from 'kysely';
import type { Event } from '../../../domain/events/event.ts';
import type { Sql } from '../../orm.ts';

/** Queues events about changes of alerts, in the transaction of the change, until they are stored. */
export async function queueEvents(db: Sql, events: readonly Event[]): Promise<void> {
  await sql`
    insert into received_events (event_id, event)
    select (e->>'event_id')::uuid, e from jsonb_array_elements(${JSON.stringify(events)}::jsonb) e
    order by 1 on conflict do nothing`.execute(db);
}

/** Finds queued events that are older than `olderThanMs`. Their process ended before it stored them. */
export async function queuedEvents(db: Sql, olderThanMs: number, limit: number): Promise<Event[]> {
  const { rows } = await sql<{ event: Event }>`
    select event from received_events
    where created_at <= now() - ${olderThanMs}::double precision * interval '1 millisecond'
    order by event_id limit ${limit}`.execute(db);
  return rows.map(({ event }) => event);
}

/** Removes events from the queue once they are stored. */
export async function unqueueEvents(db: Sql, ids: readonly string[]): Promise<void> {
  await sql`delete from received_events where event_id = any(${ids}::uuid[])`.execute(db);
}
