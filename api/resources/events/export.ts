import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { z } from 'zod';
import { type Orm, sqlOf } from '../../../db/orm.ts';
import {
  type EventPlace,
  listEvents,
  searchEvents,
  type TimeRange,
} from '../../../db/queries/events/reads.ts';
import type { Event } from '../../../domain/events/event.ts';
import type { EventFilter } from '../../../domain/events/filter.ts';
import type { ApiDeps } from '../../deps.ts';
import { asCsv } from '../../http/csv.ts';
import { range } from '../../http/parameters.ts';
import { type Route, route } from '../../http/route.ts';
import { Slots } from '../../http/slots.ts';
import { eventFilter, showEvent } from './schema.ts';

/**
 * How many events one statement reads for a download, and how many characters of payload. A download whose
 * client stops reading holds this much.
 */
const PAGE = 200;
const PAGE_CHARACTERS = 256 << 10;

/**
 * How many events are measured first. A page with large events has room for a few only, so measuring hundreds
 * for each page would be wasted.
 */
const FIRST_PAGE = 16;
const FEWEST = 8;

/** How many downloads may run at the same time in one process, for one key and in total. */
const DOWNLOADS = { ofOne: 8, ofAll: 64 };

/**
 * How long payloads are searched before the download checks whether the client is still there, in
 * milliseconds.
 */
const SEARCH_MS = 1000;

const FORMATS = { ndjson: 'application/x-ndjson', csv: 'text/csv' } as const;
type Format = keyof typeof FORMATS;
/** The CSV types that clients ask for. A type with a parameter that is not listed would not match. */
const CSV_TYPES = ['text/csv', 'text/csv;charset=utf-8', 'text/csv;header=present'];

const COLUMNS = ['event_id', 'source_id', 'timestamp', 'severity', 'event_type', 'payload'];

/** The route that downloads all events that match a filter. */
export function eventExportRoutes({ orm, clock }: ApiDeps): Route[] {
  const downloads = new Slots('downloads', DOWNLOADS);
  return [
    route({
      method: 'get',
      path: '/events/export',
      role: 'read',
      recorded: true,
      tags: ['events'],
      summary: 'Download events',
      description:
        'Oldest first, up to `to` or now. `format` or `Accept` selects CSV; NDJSON is the default. In CSV, a value that a spreadsheet could read as a formula begins with an apostrophe; NDJSON contains the values unchanged. The answer is compressed if the client accepts gzip. If the download fails midway, the API closes the connection, so a client cannot take a part for the whole.',
      query: z.object({ format: z.enum(['ndjson', 'csv']).optional(), ...eventFilter, ...range }),
      headers: z.object({ Accept: z.string().optional(), 'Accept-Encoding': z.string().optional() }),
      responses: {
        200: { description: 'The events', media: [FORMATS.ndjson, FORMATS.csv] },
      },
      async handle({ query: { format: asked, from, to = clock() + 1, ...filter }, accept, principal }) {
        const preferred = accept.type([FORMATS.ndjson, ...CSV_TYPES]) || FORMATS.ndjson;
        const format: Format = asked ?? (preferred === FORMATS.ndjson ? 'ndjson' : 'csv');
        const pages = pagesOf(orm, filter, { from, to })[Symbol.asyncIterator]();
        // The first page is read before the answer begins, so that an early failure gets an error status.
        const leave = downloads.take(principal);
        const first = await pages.next().catch((error) => {
          leave();
          throw error;
        });
        const text = Readable.from(written(format, first.done ? [] : first.value, pages), {
          objectMode: false,
        });
        text.once('close', leave);
        const headers: Record<string, string> = {
          'Content-Disposition': `attachment; filename="events.${format}"`,
          Vary: 'Accept, Accept-Encoding',
        };
        if (accept.encoding(['gzip', 'identity']) !== 'gzip') {
          return { status: 200, headers, type: FORMATS[format], body: text };
        }
        // An error on either side ends the other side, and with it the connection.
        const body = pipeline(text, createGzip(), () => {});
        return {
          status: 200,
          headers: { ...headers, 'Content-Encoding': 'gzip' },
          type: FORMATS[format],
          body,
        };
      },
    }),
  ];
}

/**
 * Reads page by page, each with a statement of its own, so that a slow client does not hold a database
 * snapshot.
 */
async function* pagesOf(orm: Orm, filter: EventFilter, range: TimeRange): AsyncGenerator<Event[]> {
  const searches = (filter.payload ?? []).length > 0;
  let limit = FIRST_PAGE;
  for (let after: EventPlace | undefined; ; ) {
    const piece = { after, limit, characters: PAGE_CHARACTERS, order: 'oldest first' } as const;
    const { events, searchedTo } = searches
      ? await searchEvents(sqlOf(orm), filter, range, piece, SEARCH_MS, limit)
      : { events: await listEvents(sqlOf(orm), filter, range, piece), searchedTo: null };
    if (events.length > 0) yield events;
    const last = events.at(-1);
    const full = events.length === limit;
    limit = Math.max(FEWEST, Math.min(4 * events.length, PAGE));
    if (searchedTo) after = searchedTo;
    else if (last && (full || !searches)) after = { at: last.occurred_at, id: last.event_id };
    else return;
  }
}

async function* written(
  format: Format,
  first: readonly Event[],
  rest: AsyncIterator<Event[]>,
): AsyncGenerator<string> {
  const write = format === 'csv' ? asRows : asLines;
  if (format === 'csv') yield asCsv([COLUMNS]);
  if (first.length > 0) yield write(first);
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield write(next.value);
}

function asLines(events: readonly Event[]): string {
  return events.map((event) => `${JSON.stringify(showEvent(event))}\n`).join('');
}

function asRows(events: readonly Event[]): string {
  return asCsv(
    events.map((event) => {
      const { event_id, source_id, timestamp, severity, event_type, payload } = showEvent(event);
      return [event_id, source_id, timestamp, severity, event_type, JSON.stringify(payload)];
    }),
  );
}
