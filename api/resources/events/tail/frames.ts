import { partsOf } from '../../../../db/queries/events/tail.ts';
import type { Event } from '../../../../domain/events/event.ts';
import { readCursor, type TailCursor, writeCursor } from './cursor.ts';
import { FIRST_PART, type Tail } from './tail.ts';

/** A comment at least so often, so that both ends and all between see the connection alive. Milliseconds. */
const HEARTBEAT_MS = 15_000;

/** What a client waits before it comes back, in milliseconds. */
const RETRY_MS = 2000;

/**
 * Server-sent events (WHATWG HTML, 9.2) for one listener: every event that is committed after the cursor and
 * that `matches`, once each. It reads on only as its client does, from the tail's memory or, when that has
 * moved on, from the database: a slow client costs the memory of one part and misses nothing.
 * @param lastEventId where to go on; absent: from now
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
    /** Events before this may be gone, epoch ms. */
    oldest: number;
    /** Whether the stream must end; it never ends by itself. Asked after each look. */
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
      // With its id: who is told nothing for long would otherwise come back with an old one.
      yield `id: ${writeCursor(cursor)}\n: still here\n\n`;
      told = clock();
    }
    await tail.ticked();
  }
}

/**
 * The next part as text. Its events are let go of here: who waits for a client must not hold what the tail
 * has dropped.
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
