import { Readable } from 'node:stream';
import { z } from 'zod';
import type { Sql } from '../../../db/orm.ts';
import { type EventPart, eventsAt, type LeftEvent } from '../../../db/queries/events/parts.ts';
import type { EventPlace } from '../../../db/queries/events/reads.ts';
import type { Event } from '../../../domain/events/event.ts';
import type { Principal } from '../../auth/access.ts';
import { page } from '../../http/paging.ts';
import type { Slots } from '../../http/slots.ts';
import { eventOut, showEvent } from './schema.ts';

/**
 * How many characters of payload a list of events holds in memory at once. A list of 200 events can have 20
 * million. The rest is read and sent part by part, as fast as the client reads.
 */
export const LIST_CHARACTERS = 256 << 10;

/** How many lists may be sent part by part at the same time in one process, for one key and in total. */
export const LONG_LISTS = { ofOne: 32, ofAll: 128 };

/** The declaration of an answer with a list of events. */
export const eventList = { media: ['application/json'], schema: z.array(eventOut) } as const;

/** Answers a page of events. @param part has one event more than `limit` if there is a next page */
export function answerEvents(
  db: Sql,
  part: EventPart,
  limit: number,
  {
    principal,
    lists,
    ...input
  }: { principal: Principal; lists: Slots; path: string; search: URLSearchParams },
) {
  const places = [...part.events.map(placeOf), ...part.left];
  const { rows, headers } = page(places, limit, (place) => place, input);
  const events = part.events.slice(0, limit);
  const left = part.left.slice(0, rows.length - events.length);
  const answer = { status: 200, headers, type: 'application/json' } as const;
  if (left.length === 0) return { ...answer, body: JSON.stringify(events.map(showEvent)) };
  const leave = lists.take(principal);
  const body = Readable.from(asJson(db, events, left), { objectMode: false });
  body.once('close', leave);
  return { ...answer, body };
}

async function* asJson(db: Sql, first: readonly Event[], left: readonly LeftEvent[]): AsyncGenerator<string> {
  const write = (events: readonly Event[]) =>
    events.map((event) => JSON.stringify(showEvent(event))).join(',');
  yield `[${write(first)}`;
  for (const places of partsOf(left)) {
    const events = await eventsAt(db, places);
    if (events.length > 0) yield `,${write(events)}`;
  }
  yield ']';
}

/** Splits events into parts of at most `LIST_CHARACTERS`. A larger event is a part by itself. */
function* partsOf(left: readonly LeftEvent[]): Generator<readonly LeftEvent[]> {
  let part: LeftEvent[] = [];
  let characters = 0;
  for (const event of left) {
    if (part.length > 0 && characters + event.size > LIST_CHARACTERS) {
      yield part;
      [part, characters] = [[], 0];
    }
    part.push(event);
    characters += event.size;
  }
  if (part.length > 0) yield part;
}

const placeOf = ({ occurred_at, event_id }: Event): EventPlace => ({ at: occurred_at, id: event_id });
