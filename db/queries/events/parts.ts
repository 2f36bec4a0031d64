import { sql } from 'kysely';
import type { Event } from '../../../domain/events/event.ts';
import type { EventFilter } from '../../../domain/events/filter.ts';
import type { Sql } from '../../orm.ts';
import { instant } from '../../time.ts';
import { COLUMNS, type EventPage, type EventPlace, pageOf, type TimeRange } from './reads.ts';

/**
 * The position of an event that was not read because it is too large, with the number of characters of its
 * payload.
 */
export interface LeftEvent extends EventPlace {
  size: number;
}

/** The first events of a list, newest first, and the positions of the others. */
export interface EventPart {
  events: Event[];
  left: LeftEvent[];
}

/**
 * Finds a page of events, but reads only its beginning: up to `characters` of payload, and at least one
 * event. One statement also returns the positions of the others, so that events stored later do not change
 * the page.
 */
export async function firstPart(
  db: Sql,
  filter: Omit<EventFilter, 'payload'>,
  range: TimeRange,
  piece: Omit<EventPage, 'characters' | 'order'>,
  characters: number,
): Promise<EventPart> {
  const page = await pageOf(db, filter, range, piece);
  if (!page) return { events: [], left: [] };
  const { rows } = await sql<Event & { kept: boolean; size: number }>`
    select event_id, occurred_at, size, kept, source_id, severity, event_type, case when kept then payload end as payload
    from (
      select *, coalesce(sum(size) over (
        order by occurred_at desc, event_id desc rows between unbounded preceding and 1 preceding
      ), 0) < ${characters} as kept
      from (select *, length(payload::text) as size from (${page}) page) sized
    ) measured order by occurred_at desc, event_id desc`.execute(db);
  const events = rows.filter(({ kept }) => kept).map(({ kept, size, ...event }) => event);
  const left = rows.slice(events.length).map(({ occurred_at: at, event_id: id, size }) => ({ at, id, size }));
  return { events, left };
}

/** Reads the events at these positions, newest first. Deleted ones are omitted. */
export async function eventsAt(db: Sql, places: readonly EventPlace[]): Promise<Event[]> {
  const wanted = sql.join(places.map(({ at, id }) => sql`(${instant(at)}, ${id}::uuid)`));
  const { rows } = await sql<Event>`
    select events.* from (values ${wanted}) place (at, id) cross join lateral (
      select ${COLUMNS} from events where event_id = place.id and occurred_at = place.at offset 0
    ) events order by events.occurred_at desc, events.event_id desc`.execute(db);
  return rows;
}
