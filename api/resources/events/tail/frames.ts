import { partsOf } from '../../../../db/queries/events/tail.ts';
import type { Event } from '../../../../domain/events/event.ts';
import { readCursor, type TailCursor, writeCursor } from './cursor.ts';
import { FIRST_PART, type Tail } from './tail.ts';

/**
 * How often an idle stream sends a comment, in milliseconds, so that both ends and all proxies see that the
 * connection is alive.
 */
const HEARTBEAT_MS = 15_000;

/** How long a client waits before it reconnects, in milliseconds. */
const RETRY_MS = 2000;

/**
 * Writes server-sent events (WHATWG HTML, 9.2) for one listener: each event committed after the cursor that
 * `matches`, exactly once. It reads on only as fast as the client does, from the tail's memory or, for a
 * client that is too far behind, from the database. So a slow client holds one part in memory and misses
 * nothing.
 * @param lastEventId where to continue; if absent, from now on
 */
export async function* frames(
  tail: Tail,
  {
    now,
    lastEventId,
    matches,
    oldest,
    over,
    clock,
  }: {
    now: TailCursor;
    lastEventId: string | undefined;
    matches: (event: Event) => boolean;
    /** Events before this time may have been deleted; epoch ms. */
    oldest: number;
    /**
     * Says whether the stream must end. It is asked after each look for events; the stream does not end
     * otherwise.
     */
    over: () => boolean;
    clock: () => number;
  },
): AsyncGenerator<string> {
  const start = startOf(lastEventId, now, oldest);
  yield `retry: ${RETRY_MS}\n${start.gap ? `event: gap\ndata: ${JSON.stringify({ reason: start.gap })}\n` : ''}id: ${writeCursor(start.cursor)}\n\n`;
  let { cursor } = start;
  let lookFor = FIRST_PART;
  let told = clock();
  while (!over()) {
    const part = await partAfter(tail, cursor, lookFor, matches);
    if (part) {
      ({ cursor, lookFor } = part);
      if (part.text !== '') {
        yield part.text;
        told = clock();
      }
      continue;
    }
    if (clock() - told >= HEARTBEAT_MS) {
      // The comment carries the current id. Otherwise a client that got no event for long would reconnect
      // with an old one.
      yield `id: ${writeCursor(cursor)}\n: still here\n\n`;
      told = clock();
    }
    await tail.ticked();
  }
}

/**
 * Writes the next part as text. It does not keep the events, so that a slow client does not hold what the
 * tail has dropped.
 */
async function partAfter(
  tail: Tail,
  after: TailCursor,
  lookFor: number,
  matches: (event: Event) => boolean,
): Promise<{ text: string; cursor: TailCursor; lookFor: number } | null> {
  const passed = await tail.after(after, lookFor);
  if (!passed) return null;
  const text = passed.events
    .filter(({ event }) => matches(event))
    .map(({ frame }) => frame)
    .join('');
  return { text, cursor: passed.cursor, lookFor: passed.lookFor };
}

function startOf(
  lastEventId: string | undefined,
  now: TailCursor,
  oldest: number,
): { cursor: TailCursor; gap?: string } {
  if (lastEventId === undefined || lastEventId === '') return { cursor: now };
  const cursor = readCursor(lastEventId);
  if (!cursor) return { cursor: now, gap: 'Last-Event-ID does not come from this API' };
  const reached = cursor.within?.until ?? cursor.since;
  if (BigInt(partsOf(reached).xmax) > BigInt(partsOf(now.since).xmax)) {
    return { cursor: now, gap: 'Last-Event-ID comes from another database' };
  }
  if (cursor.at < oldest) return { cursor, gap: 'events after Last-Event-ID are older than the retention' };
  return { cursor };
}
