import { type RawBuilder, sql } from 'kysely';
import type { Event } from '../../domain/event.ts';
import type { EventFilter } from '../../domain/event-filter.ts';
import type { Sql } from '../orm.ts';
import { instant, ms } from '../time.ts';
import { hoursWith } from './event-hours.ts';

/** A stretch of time in epoch milliseconds, `from` in and `to` out. */
export interface TimeRange {
  from?: number | undefined;
  to?: number | undefined;
}

/** A place in the order of events: by time, and by id within a millisecond. Epoch milliseconds. */
export interface EventPlace {
  at: number;
  id: string;
}

export type Order = 'newest first' | 'oldest first';

/** A piece of a list. */
export interface EventPage {
  /** Only events that come after this one in the order. */
  after?: EventPlace | undefined;
  offset?: number;
  limit: number;
  order?: Order;
}

const COLUMNS = sql`event_id, source_id, ${ms('occurred_at')} as occurred_at,
  severity, event_type, payload`;

/** One event by its id, or null. */
export async function findEvent(db: Sql, id: string): Promise<Event | null> {
  const { rows } =
    await sql<Event>`select ${COLUMNS} from events where event_id = ${id}::uuid limit 1`.execute(db);
  return rows[0] ?? null;
}

/**
 * Events whose payload doesn't matter. Every filter alone has an index in the order of the list. Several together are looked up in
 * one that has them all (`include`), without reading an event that isn't listed; so is what `offset` skips. `offset 0` has each
 * event fetched by its key: as a join, the planner may read whole partitions for it.
 */
export async function listEvents(
  db: Sql,
  filter: Omit<EventFilter, 'payload'>,
  range: TimeRange,
  { after, offset = 0, limit, order = 'newest first' }: EventPage,
): Promise<Event[]> {
  const { severity, source_id, event_type } = filter;
  let within = range;
  if (severity !== undefined && event_type !== undefined) {
    const hours = await hoursWith(db, severity, event_type);
    if (!hours) return [];
    within = intersect(range, hours);
  }
  const where = conditions(filter, within, after, order);
  const ordered = sql`order by events.occurred_at ${DIRECTION[order]}, events.event_id ${DIRECTION[order]}`;
  const filters = [severity, source_id, event_type].filter((value) => value !== undefined);
  const { rows } =
    filters.length < 2 && offset === 0
      ? await sql<Event>`
          select ${COLUMNS} from events where ${where} ${ordered} limit ${limit}`.execute(db)
      : await sql<Event>`
          select events.* from (
            select occurred_at, event_id from events where ${where} ${ordered} limit ${limit} offset ${offset}
          ) chosen cross join lateral (
            select ${COLUMNS} from events
            where event_id = chosen.event_id and occurred_at = chosen.occurred_at offset 0
          ) events order by chosen.occurred_at ${DIRECTION[order]}, chosen.event_id ${DIRECTION[order]}`.execute(
          db,
        );
  return rows;
}

/** Events that a search looks at in one statement: few at first, since most searches find soon what they look for. */
const FIRST_STRETCH = 500;
const LONGEST_STRETCH = 10_000;

/** A part of a search. */
export interface Found {
  events: Event[];
  /** Where it stopped before its end; null once everything has been looked at or `limit` found. */
  searchedTo: EventPlace | null;
  /** Events still to be skipped: of `offset`, what was not found. */
  offset: number;
}

/**
 * Events by what their payload holds: no index helps, so each that the other filters leave is looked at, stretch by stretch.
 * @param budgetMs once this is over no further stretch is begun
 */
export async function searchEvents(
  db: Sql,
  filter: EventFilter,
  range: TimeRange,
  { after, offset = 0, limit, order = 'newest first' }: EventPage,
  budgetMs: number,
): Promise<Found> {
  const until = performance.now() + budgetMs;
  const events: Event[] = [];
  let [place, skip] = [after, offset];
  for (let stretch = FIRST_STRETCH; ; stretch = Math.min(2 * stretch, LONGEST_STRETCH)) {
    const rows = await searchStretch(db, filter, range, { after: place, limit: stretch, order });
    const matching = rows.filter(({ matches }) => matches);
    events.push(
      ...matching.slice(skip, skip + limit - events.length).map(({ matches, last, ...event }) => event),
    );
    skip = Math.max(0, skip - matching.length);
    const last = rows.find((row) => row.last);
    if (!last || events.length === limit) return { events, searchedTo: null, offset: skip };
    place = { at: last.occurred_at, id: last.event_id };
    if (performance.now() > until) return { events, searchedTo: place, offset: skip };
  }
}

/** Those of the next `limit` events that match, and the last of them if there may be more. */
async function searchStretch(
  db: Sql,
  { payload = [], ...filter }: EventFilter,
  range: TimeRange,
  { after, limit, order = 'newest first' }: EventPage,
): Promise<(Event & { matches: boolean; last: boolean })[]> {
  const holds = payload.map(
    ({ path, value }) => sql`coalesce(payload #>> ${[...path]}::text[] = ${value}, false)`,
  );
  const { rows } = await sql<Event & { matches: boolean; last: boolean }>`
    select ${COLUMNS}, matches, last from (
      select *, ${sql.join([sql`true`, ...holds], sql` and `)} as matches, row_number() over () = ${limit} as last
      from (
        select * from events where ${conditions(filter, range, after, order)}
        order by events.occurred_at ${DIRECTION[order]}, events.event_id ${DIRECTION[order]} limit ${limit}
      ) looked_at
    ) events where matches or last
    order by events.occurred_at ${DIRECTION[order]}, events.event_id ${DIRECTION[order]}`.execute(db);
  return rows;
}

const DIRECTION = { 'newest first': sql`desc`, 'oldest first': sql`asc` };

function conditions(
  { severity, source_id, event_type }: Omit<EventFilter, 'payload'>,
  { from, to }: TimeRange,
  after: EventPlace | undefined,
  order: Order,
): RawBuilder<unknown> {
  const all: RawBuilder<unknown>[] = [sql`true`];
  if (severity !== undefined) all.push(sql`severity = ${severity}`);
  if (source_id !== undefined) all.push(sql`source_id = ${source_id}`);
  if (event_type !== undefined) all.push(sql`event_type = ${event_type}`);
  if (from !== undefined) all.push(sql`occurred_at >= ${instant(from)}`);
  if (to !== undefined) all.push(sql`occurred_at < ${instant(to)}`);
  if (after) {
    const beyond = order === 'newest first' ? sql`<` : sql`>`;
    const at = instant(after.at);
    // The first line lets whole partitions be skipped: PostgreSQL does not prune by a row comparison.
    all.push(
      sql`occurred_at ${beyond}= ${at}`,
      sql`(occurred_at, event_id) ${beyond} (${at}, ${after.id}::uuid)`,
    );
  }
  return sql.join(all, sql` and `);
}

function intersect(range: TimeRange, { from, to }: { from: number; to: number }): TimeRange {
  return { from: Math.max(range.from ?? from, from), to: Math.min(range.to ?? to, to) };
}
