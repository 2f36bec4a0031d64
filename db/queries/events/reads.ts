import { type RawBuilder, sql } from 'kysely';
import type { Event } from '../../../domain/events/event.ts';
import type { EventFilter } from '../../../domain/events/filter.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';
import { hoursWith } from './hours.ts';

/** A time range in epoch milliseconds; `from` is included, `to` is excluded. */
export interface TimeRange {
  from?: number | undefined;
  to?: number | undefined;
}

/** A position in the order of events: by time, and by id within a millisecond. Epoch milliseconds. */
export interface EventPlace {
  at: number;
  id: string;
}

export type Order = 'newest first' | 'oldest first';

/** Which part of a list to read. */
export interface EventPage {
  /** Only events that follow this position. */
  after?: EventPlace | undefined;
  offset?: number;
  limit: number;
  /** The page ends once its payloads have this many characters, which limits its memory. */
  characters?: number;
  order?: Order;
}

/** The columns of an event. */
export const COLUMNS = sql`event_id, source_id, ${ms('occurred_at')} as occurred_at,
  severity, event_type, payload`;

/** One event by its id, or null. */
export async function findEvent(db: Sql, id: string): Promise<Event | null> {
  const { rows } =
    await sql<Event>`select ${COLUMNS} from events where event_id = ${id}::uuid limit 1`.execute(db);
  return rows[0] ?? null;
}

/**
 * Lists events without a payload filter. For every single filter there is an index in the order of the list.
 * Several filters are decided from the columns that one index includes, without reading events that are not
 * listed; so is what `offset` skips. `offset 0` makes PostgreSQL fetch each event by its key. As a join, it
 * might read whole partitions.
 */
export async function listEvents(
  db: Sql,
  filter: Omit<EventFilter, 'payload'>,
  range: TimeRange,
  { characters, order = 'newest first', ...piece }: EventPage,
): Promise<Event[]> {
  const page = await pageOf(db, filter, range, { order, ...piece });
  if (!page) return [];
  const { rows } = await (characters === undefined ? page : cut(page, characters, order)).execute(db);
  return rows;
}

/** The statement of such a list; null if the list is certainly empty. */
export async function pageOf(
  db: Sql,
  { severity, source_id, event_type }: Omit<EventFilter, 'payload'>,
  range: TimeRange,
  { after, offset = 0, limit, order = 'newest first' }: EventPage,
): Promise<RawBuilder<Event> | null> {
  const filter = { severity, source_id, event_type };
  let within = range;
  if (severity !== undefined && event_type !== undefined) {
    const hours = await hoursWith(db, severity, event_type);
    if (!hours) return null;
    within = intersect(range, hours);
  }
  const where = conditions(filter, within, after, order);
  const ordered = sql`order by events.occurred_at ${DIRECTION[order]}, events.event_id ${DIRECTION[order]}`;
  const filters = [severity, source_id, event_type].filter((value) => value !== undefined);
  return filters.length < 2 && offset === 0
    ? sql<Event>`
        select ${COLUMNS} from events where ${where} ${ordered} limit ${limit}`
    : sql<Event>`
        select events.* from (
          select occurred_at, event_id from events where ${where} ${ordered} limit ${limit} offset ${offset}
        ) chosen cross join lateral (
          select ${COLUMNS} from events
          where event_id = chosen.event_id and occurred_at = chosen.occurred_at offset 0
        ) events order by chosen.occurred_at ${DIRECTION[order]}, chosen.event_id ${DIRECTION[order]}`;
}

/** Cuts a page after so many characters, but keeps at least one event. */
function cut(page: RawBuilder<Event>, characters: number, order: Order): RawBuilder<Event> {
  return sql<Event>`
    select event_id, source_id, occurred_at, severity, event_type, payload from (
      select *, sum(length(payload::text)) over (
        order by occurred_at ${DIRECTION[order]}, event_id ${DIRECTION[order]}
        rows between unbounded preceding and 1 preceding
      ) as before
      from (${page}) page
    ) measured where coalesce(before, 0) < ${characters}
    order by occurred_at ${DIRECTION[order]}, event_id ${DIRECTION[order]}`;
}

/** How many events the first statement of a search reads. Most searches find enough early, so it is few. */
const FIRST_STRETCH = 500;
const LONGEST_STRETCH = 10_000;

/** The result of a part of a search. Its payloads have at most `characters`, unless it is a single event. */
export interface Found {
  events: Event[];
  /**
   * The position at which the search stopped early; null if everything was searched or `limit` was reached.
   */
  searchedTo: EventPlace | null;
  /** How many events of `offset` are still to be skipped. */
  offset: number;
}

/**
 * Searches events by their payload. No index helps, so it reads every event that the other filters leave,
 * part by part.
 * @param budgetMs after this time no further part is begun
 * @param firstStretch how many events the first part reads; fewer if earlier results were large
 */
export async function searchEvents(
  db: Sql,
  filter: EventFilter,
  range: TimeRange,
  { after, offset = 0, limit, characters, order = 'newest first' }: EventPage & { characters: number },
  budgetMs: number,
  firstStretch = FIRST_STRETCH,
): Promise<Found> {
  const until = performance.now() + budgetMs;
  const events: Event[] = [];
  let [place, skip, room] = [after, offset, characters];
  for (let stretch = firstStretch; ; stretch = Math.min(2 * stretch, LONGEST_STRETCH)) {
    const most = { matches: skip + limit - events.length, characters: room };
    const rows = await searchStretch(db, filter, range, { after: place, limit: stretch, order }, most);
    const matching = rows.filter(({ matches }) => matches);
    const found = matching.slice(skip).map(({ matches, last, cut, size, ...event }) => {
      room -= size;
      return event;
    });
    events.push(...found);
    skip = Math.max(0, skip - matching.length);
    const end = matching.at(-1);
    if (end?.cut) {
      place = { at: end.occurred_at, id: end.event_id };
      if (found.length > 0 || performance.now() > until) return { events, searchedTo: place, offset: skip };
      continue;
    }
    const last = rows.find((row) => row.last);
    if (!last || events.length === limit) return { events, searchedTo: null, offset: skip };
    place = { at: last.occurred_at, id: last.event_id };
    if (room <= 0 || performance.now() > until) return { events, searchedTo: place, offset: skip };
  }
}

/**
 * An event of one part. `size`: characters of its payload. `cut`: more events match, but were left out
 * because of their size.
 */
type Looked = Event & { matches: boolean; last: boolean; size: number; cut: boolean };

/**
 * Finds the next matching events among `limit` events. It also returns the last event read, if there may be
 * more.
 * @param most how many matches are wanted, and how many characters they may have together
 */
async function searchStretch(
  db: Sql,
  { payload = [], ...filter }: EventFilter,
  range: TimeRange,
  { after, limit, order = 'newest first' }: EventPage,
  most: { matches: number; characters: number },
): Promise<Looked[]> {
  const holds = payload.map(
    ({ path, value }) => sql`coalesce(payload #>> ${[...path]}::text[] = ${value}, false)`,
  );
  const ordered = sql`order by occurred_at ${DIRECTION[order]}, event_id ${DIRECTION[order]}`;
  const kept = sql`matches and nth <= ${most.matches} and before < ${most.characters}`;
  const { rows } = await sql<Looked>`
    select ${COLUMNS}, ${kept} as matches, last, size,
      least(all_matches, ${most.matches}) > count(*) filter (where ${kept}) over () as cut
    from (
      select *, count(*) filter (where matches) over (${ordered} rows unbounded preceding) as nth,
        count(*) filter (where matches) over () as all_matches,
        coalesce(sum(size) over (${ordered} rows between unbounded preceding and 1 preceding), 0) as before
      from (
        select *, case when matches then length(payload::text) else 0 end as size from (
          select *, ${sql.join([sql`true`, ...holds], sql` and `)} as matches, row_number() over () = ${limit} as last
          from (
            select * from events where ${conditions(filter, range, after, order)}
            order by events.occurred_at ${DIRECTION[order]}, events.event_id ${DIRECTION[order]} limit ${limit}
          ) looked_at
        ) matched
      ) measured
    ) events where (${kept}) or last
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
    // The first condition lets PostgreSQL skip whole partitions, which it does not do for a row comparison.
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
