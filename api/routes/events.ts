import { z } from 'zod';
import { sqlOf } from '../../db/orm.ts';
import { findEvent, listEvents } from '../../db/queries/event-reads.ts';
import type { Event } from '../../domain/event.ts';
import type { ApiDeps } from '../deps.ts';
import { cursorParameter, linkHeader, page } from '../paging.ts';
import { NotFound } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { eventOut, showEvent } from '../schemas/event.ts';
import { idParams, queryInteger, range, withDefault } from '../schemas/parameters.ts';

/** The reference's page of one source. */
const SOURCE_PAGE = 100;

const payloadFilter = z
  .record(z.string().max(200), z.string().max(1000))
  .optional()
  .meta({
    description:
      'Payload values by path, each its own parameter: `payload.host=web-1`, `payload.disks.0.free=12`. Slow on long stretches of time: give `from`.',
    param: { style: 'form', explode: true },
  });

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
        severity: z.string().optional(),
        source_id: z.string().optional(),
        event_type: z.string().optional(),
        ...range,
        payload: payloadFilter,
      }),
      responses: { 200: list },
      async handle({ query: { limit, offset, cursor, ...filter }, ...input }) {
        const found = await listEvents(sqlOf(orm), filter, {
          after: cursor,
          offset: cursor ? 0 : offset,
          limit: limit + 1,
        });
        const { rows, headers } = page(found, limit, cursorOf, input);
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
      description: 'An unknown source has none.',
      params: z.object({ source_id: z.string() }),
      query: z.object({ cursor: cursorParameter }),
      responses: { 200: list },
      async handle({ params, query, ...input }) {
        const found = await listEvents(sqlOf(orm), params, { after: query.cursor, limit: SOURCE_PAGE + 1 });
        const { rows, headers } = page(found, SOURCE_PAGE, cursorOf, input);
        return { status: 200, headers, body: rows.map(showEvent) };
      },
    }),
  ];
}

const cursorOf = ({ occurred_at, event_id }: Event) => ({ at: occurred_at, id: event_id });
