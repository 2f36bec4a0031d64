import { z } from 'zod';
import { sqlOf } from '../../db/orm.ts';
import { findEvent, listEvents, searchEvents } from '../../db/queries/event-reads.ts';
import type { Event } from '../../domain/event.ts';
import type { ApiDeps } from '../deps.ts';
import { cursorParameter, linkHeader, linkTo, page } from '../paging.ts';
import { NotFound } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { eventFilter, eventOut, showEvent } from '../schemas/event.ts';
import { idParams, queryInteger, range, withDefault } from '../schemas/parameters.ts';

/** The reference's page of one source. */
const SOURCE_PAGE = 100;

/** How long one request may search payloads, in milliseconds; the last stretch may take some more. */
const SEARCH_MS = 40;

/** Reading events. */
export function eventRoutes({ orm }: ApiDeps): Route[] {
  const list = { description: 'Events, newest first', schema: z.array(eventOut), headers: linkHeader };
  return [
    route({
      method: 'get',
      path: '/events',
      role: 'read',
      tags: ['events'],
      summary: 'List events',
      query: z.object({
        limit: withDefault(queryInteger(1, 200), 50),
        offset: withDefault(queryInteger(0, 2 ** 31 - 1), 0),
        cursor: cursorParameter,
        ...eventFilter,
        ...range,
      }),
      description:
        'Payloads have no index, so a payload filter searches the events. A long search stops early: it answers with what it has found so far, `Tocsin-Searched-To` says how far it looked, and the next page continues there. Such a page may have fewer events than `limit`, or none. Without a payload filter every page but the last is full.',
      responses: { 200: { ...list, headers: { ...linkHeader, ...searchedTo } } },
      async handle({ query: { limit, offset, cursor, from, to, ...filter }, ...input }) {
        const db = sqlOf(orm);
        const piece = { after: cursor, offset, limit: limit + 1 };
        if ((filter.payload ?? []).length === 0) {
          const found = await listEvents(db, filter, { from, to }, piece);
          const { rows, headers } = page(found, limit, cursorOf, input);
          return { status: 200, headers, body: rows.map(showEvent) };
        }
        const found = await searchEvents(db, filter, { from, to }, piece, SEARCH_MS);
        const { rows, headers } = page(found.events, limit, cursorOf, input);
        if (found.searchedTo) {
          headers.Link = linkTo(found.searchedTo, input, found.offset);
          headers['Tocsin-Searched-To'] = new Date(found.searchedTo.at).toISOString();
        }
        return { status: 200, headers, body: rows.map(showEvent) };
      },
    }),
    route({
      method: 'get',
      path: '/events/{id}',
      role: 'read',
      tags: ['events'],
      summary: 'One event',
      params: idParams,
      responses: { 200: { description: 'The event', schema: eventOut } },
      problems: [404],
      async handle({ params }) {
        const event = await findEvent(sqlOf(orm), params.id);
        if (!event) throw new NotFound('Event');
        return { status: 200, body: showEvent(event) };
      },
    }),
    route({
      method: 'get',
      path: '/events/source/{source_id}',
      role: 'read',
      tags: ['events'],
      summary: 'Events of one source',
      description: 'For an unknown source the list is empty.',
      params: z.object({ source_id: z.string() }),
      query: z.object({ cursor: cursorParameter }),
      responses: { 200: list },
      async handle({ params, query, ...input }) {
        const found = await listEvents(
          sqlOf(orm),
          params,
          {},
          { after: query.cursor, limit: SOURCE_PAGE + 1 },
        );
        const { rows, headers } = page(found, SOURCE_PAGE, cursorOf, input);
        return { status: 200, headers, body: rows.map(showEvent) };
      },
    }),
  ];
}

const searchedTo = {
  'Tocsin-Searched-To': {
    description: 'Time of the last event that the search looked at, if it stopped early',
  },
};

const cursorOf = ({ occurred_at, event_id }: Event) => ({ at: occurred_at, id: event_id });
