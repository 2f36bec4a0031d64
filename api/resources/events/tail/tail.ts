import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../../../db/orm.ts';
import { type CommittedEvent, currentSnapshot, eventsBetween } from '../../../../db/queries/events/tail.ts';
import { showEvent } from '../schema.ts';
import { type TailCursor, writeCursor } from './cursor.ts';

/** How often it looks for what was committed, in milliseconds. */
const EVERY_MS = 250;

/**
 * Events that a listener is given at once, and the characters in them: what one holds whose client takes
 * nothing.
 */
const PART_EVENTS = 200;
const PART_CHARACTERS = 64 << 10;

/**
 * Events of a part that are looked for at first in the database. What a part may not hold is measured and
 * left: large events must not be measured by the hundred for each part that has room for one.
 */
export const FIRST_PART = 16;
const FEWEST = 8;

/** Events kept for those who listen, and how many characters of them at the most. */
const KEPT_EVENTS = 2000;
const KEPT_CHARACTERS = 8 << 20;

/** An event as it passes, and how far one is who has it. */
export interface Passing {
  event: CommittedEvent;
  cursor: TailCursor;
  /** What a listener is sent. */
  frame: string;
}

/** What passed after a cursor, and the cursor that follows. */
export interface Passed {
  events: readonly Passing[];
  cursor: TailCursor;
  /** Events to be looked for next, if it comes to that. */
  lookFor: number;
}

/**
 * What is committed, read once a process for all who listen, and only while somebody does. The last of it is
 * kept in memory, bounded; a listener that has fallen further behind reads from the database by itself, one
 * listener at a time.
 */
export class Tail {
  readonly #orm: Orm;
  readonly #log: Logger;
  readonly #clock: () => number;
  #head: TailCursor | null = null;
  /** One per look that found something: from one snapshot to the next. */
  #steps: { from: string; events: Passing[]; to: TailCursor; size: number }[] = [];
  #listeners = 0;
  #look: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #ticked = Promise.withResolvers<void>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ orm, log, clock }: { orm: Orm; log: Logger; clock: () => number }) {
    this.#orm = orm;
    this.#log = log;
    this.#clock = clock;
  }

  get listeners(): number {
    return this.#listeners;
  }

  /** Looks for news until the function it returns is called. */
  join(): () => void {
    this.#listeners++;
    this.#timer ??= setInterval(() => void this.#tick(), EVERY_MS);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#listeners--;
      if (this.#listeners > 0) return;
      clearInterval(this.#timer ?? undefined);
      this.#timer = null;
      this.#head = null;
      this.#steps = [];
    };
  }

  /** Resolves after the next look, whatever it found. */
  ticked(): Promise<void> {
    return this.#ticked.promise;
  }

  /** What is committed now: by a look that begins after the call. @throws when PostgreSQL is away */
  async now(): Promise<TailCursor> {
    await this.#look?.catch(() => {});
    await this.#once();
    return this.#head!;
  }

  /**
   * A part of what passed after the cursor, from memory if it is still there, else from the database; nothing
   * if that is all.
   * @param lookFor as the part before said
   */
  async after(cursor: TailCursor, lookFor: number): Promise<Passed | null> {
    const head = this.#head;
    if (!head || (!cursor.within && cursor.since === head.since)) return null;
    const kept = this.#kept(cursor, lookFor);
    if (kept) return kept;
    const most = { events: lookFor, characters: PART_CHARACTERS };
    try {
      return await this.#inTurn(() => this.#read(cursor, cursor.within?.until ?? head.since, head, most));
    } catch (error) {
      this.#log.warn({ err: error }, 'could not send a stream the events that it missed; trying again');
      return null;
    }
  }

  /** From memory; null when it is not there any more. */
  #kept({ since, within }: TailCursor, lookFor: number): Passed | null {
    const step = this.#steps.find(({ from, to }) => from === since && (!within || to.since === within.until));
    if (!step) return null;
    const had = within
      ? step.events.findIndex(({ event }) => event.event_id === within.id && event.xid === within.xid)
      : -1;
    if (within && had < 0) return null;
    let [end, characters] = [had + 1, 0];
    while (end < step.events.length && end <= had + PART_EVENTS && characters < PART_CHARACTERS) {
      characters += step.events[end]!.frame.length;
      end++;
    }
    const events = step.events.slice(had + 1, end);
    return { events, cursor: end === step.events.length ? step.to : events.at(-1)!.cursor, lookFor };
  }

  async #read(
    cursor: TailCursor,
    until: string,
    head: TailCursor,
    most: { events: number; characters: number },
  ): Promise<Passed> {
    const { within } = cursor;
    const from = within && { xid: within.xid, id: within.id };
    const found = await eventsBetween(sqlOf(this.#orm), cursor.since, until, from, most);
    const events = found.events.map((event) => {
      const reached = cursorAt(cursor, until, event);
      return { event, cursor: reached, frame: frameOf(event, reached) };
    });
    const at = until === head.since ? head.at : cursor.at;
    const next = found.more ? events.at(-1)!.cursor : { at, since: until, within: null };
    const lookFor = Math.max(FEWEST, Math.min(4 * events.length, PART_EVENTS));
    return { events, cursor: next, lookFor };
  }

  /** One after the other: a thousand that come back at once must not take all connections. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #tick(): Promise<void> {
    if (this.#look) return;
    try {
      await this.#once();
    } catch (error) {
      this.#log.warn(
        { err: error },
        'the event streams could not look for new events; they continue from the same place',
      );
    }
  }

  async #once(): Promise<void> {
    this.#look ??= this.#lookForNews().finally(() => {
      this.#look = null;
      const { resolve } = this.#ticked;
      this.#ticked = Promise.withResolvers();
      resolve();
    });
    await this.#look;
  }

  async #lookForNews(): Promise<void> {
    const at = this.#clock();
    const snapshot = await currentSnapshot(sqlOf(this.#orm));
    const from = this.#head;
    const head: TailCursor = { at, since: snapshot, within: null };
    if (from && from.since !== snapshot) await this.#keepSteps(from, head);
    this.#head = head;
  }

  /** Reads what came between two looks. If that is more than is kept, listeners read it by themselves. */
  async #keepSteps(from: TailCursor, to: TailCursor): Promise<void> {
    const events: Passing[] = [];
    let size = 0;
    for (let cursor = from; ; ) {
      const most = { events: PART_EVENTS, characters: KEPT_CHARACTERS };
      const passed = await this.#read(cursor, to.since, to, most);
      events.push(...passed.events);
      for (const { frame } of passed.events) size += frame.length;
      if (events.length > KEPT_EVENTS || size > KEPT_CHARACTERS) {
        this.#steps = [];
        return;
      }
      cursor = passed.cursor;
      if (!cursor.within) break;
    }
    this.#steps.push({ from: from.since, events, to, size });
    let [kept, characters] = [0, 0];
    const fits = (step: { events: Passing[]; size: number }) => {
      kept += 1 + step.events.length;
      characters += step.size;
      return kept <= KEPT_EVENTS && characters <= KEPT_CHARACTERS;
    };
    const cut = this.#steps.findLastIndex((step) => !fits(step));
    if (cut >= 0) this.#steps.splice(0, cut + 1);
  }
}

/** One event of the stream (WHATWG HTML, 9.2). JSON has no line ends. */
function frameOf(event: CommittedEvent, cursor: TailCursor): string {
  return `id: ${writeCursor(cursor)}\ndata: ${JSON.stringify(showEvent(event))}\n\n`;
}

function cursorAt({ at, since }: TailCursor, until: string, { xid, event_id }: CommittedEvent): TailCursor {
  return { at, since, within: { until, xid, id: event_id } };
}
