import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { firstPart } from '../../../db/queries/events/parts.ts';
import { findEvent, searchEvents } from '../../../db/queries/events/reads.ts';
import type { ApiDeps } from '../../deps.ts';
import { cursorParameter, linkHeader, linkTo } from '../../http/paging.ts';
import { idParams, queryInteger, range, withDefault } from '../../http/parameters.ts';
import { NotFound } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';
import { Slots } from '../../http/slots.ts';
import { answerEvents, eventList, LIST_CHARACTERS, LONG_LISTS } from './list.ts';
import { eventFilter, eventOut, showEvent } from './schema.ts';

/** The page size of the events of one source, as in the reference. */
const SOURCE_PAGE = 100;

/** How long one request may search payloads, in milliseconds. The last part of the search may take longer. */
const SEARCH_MS = 40;

/** How many events the first part of a search reads: at most 6 MB. Each further part reads twice as many. */
const FIRST_SEARCHED = 64;

/** After this many characters of payload a search stops early, as it does when its time is used up. */
const SEARCH_CHARACTERS = 2 * LIST_CHARACTERS;

/** Routes that read events. */
export function eventRoutes({ orm }: ApiDeps): Route[] {
  const db = sqlOf(orm);
  const lists = new Slots('long lists of events', LONG_LISTS);
  const list = { description: 'Events, newest first', ...eventList, headers: linkHeader };
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
        'Payloads have no index, so a payload filter reads one event after the other. If that takes long, or if the events found are large, the search stops early and answers with what it has found. `Tocsin-Searched-To` then says how far it came, and the next page continues there. Such a page may have fewer events than `limit`, or none. Without a payload filter every page except the last is full.',
      responses: { 200: { ...list, headers: { ...linkHeader, ...searchedTo } } },
      async handle({ query: { limit, offset, cursor, from, to, ...filter }, ...input }) {
        const piece = { after: cursor, offset, limit: limit + 1 };
        if ((filter.payload ?? []).length === 0) {
          const part = await firstPart(db, filter, { from, to }, piece, LIST_CHARACTERS);
          return answerEvents(db, part, limit, { ...input, lists });
        }
        const search = { ...piece, characters: SEARCH_CHARACTERS };
        const found = await searchEvents(db, filter, { from, to }, search, SEARCH_MS, FIRST_SEARCHED);
        const answer = answerEvents(db, { events: found.events, left: [] }, limit, { ...input, lists });
        if (found.searchedTo) {
          answer.headers.Link = linkTo(found.searchedTo, input, found.offset);
          answer.headers['Tocsin-Searched-To'] = new Date(found.searchedTo.at).toISOString();
        }
        return answer;
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
        const event = await findEvent(db, params.id);
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
        const piece = { after: query.cursor, limit: SOURCE_PAGE + 1 };
        const part = await firstPart(db, params, {}, piece, LIST_CHARACTERS);
        return answerEvents(db, part, SOURCE_PAGE, { ...input, lists });
      },
    }),
  ];
}

const searchedTo = {
  'Tocsin-Searched-To': {
    description: 'Time of the last event that the search looked at, if it stopped early',
  },
};
