import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../../../db/orm.ts';
import { type CommittedEvent, currentSnapshot, eventsBetween } from '../../../../db/queries/events/tail.ts';
import { showEvent } from '../schema.ts';
import { type TailCursor, writeCursor } from './cursor.ts';

/** How often the tail looks for committed events, in milliseconds. */
const EVERY_MS = 250;

/**
 * How many events, and characters in them, a listener gets at once. A client that stops reading holds this
 * much.
 */
const PART_EVENTS = 200;
const PART_CHARACTERS = 64 << 10;

/**
 * How many events of a part are measured first. A part with large events has room for a few only, so
 * measuring hundreds would be wasted.
 */
export const FIRST_PART = 16;
const FEWEST = 8;

/** How many events, and characters in them, are kept in memory for the listeners. */
const KEPT_EVENTS = 2000;
const KEPT_CHARACTERS = 8 << 20;

/** A committed event, and the cursor after it. */
export interface Passing {
  event: CommittedEvent;
  cursor: TailCursor;
  /** The text that a listener gets. */
  frame: string;
}

/** Events after a cursor, and the cursor that follows them. */
export interface Passed {
  events: readonly Passing[];
  cursor: TailCursor;
  /** How many events to measure first in the next read from the database. */
  lookFor: number;
}

/**
 * Reads committed events once per process for all listeners, and only while there are any. The latest are
 * kept in memory, up to a limit. A listener that is further behind reads from the database, one listener at a
 * time.
 */
export class Tail {
  readonly #orm: Orm;
  readonly #log: Logger;
  readonly #clock: () => number;
  #head: TailCursor | null = null;
  /** One step for each look that found events, from one snapshot to the next. */
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

  /** Starts looking for events, until the returned function is called. */
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

  /** Resolves after the next look, whether it finds anything or not. */
  ticked(): Promise<void> {
    return this.#ticked.promise;
  }

  /**
   * The cursor of all that is committed now, by a look that begins after the call. @throws when PostgreSQL is
   * down
   */
  async now(): Promise<TailCursor> {
    await this.#look?.catch(() => {});
    await this.#once();
    return this.#head!;
  }

  /**
   * Reads a part after the cursor, from memory or else from the database; null if there is nothing.
   * @param lookFor as the part before it says
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

  /** Reads a part from memory; null if it is no longer there. */
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

  /**
   * Runs work one after the other: a thousand listeners that reconnect at once must not take all connections.
   */
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

  /**
   * Reads the events between two looks. If there are more than memory keeps, listeners read them from the
   * database.
   */
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

/** Writes one event of the stream (WHATWG HTML, 9.2). JSON contains no line ends. */
function frameOf(event: CommittedEvent, cursor: TailCursor): string {
  return `id: ${writeCursor(cursor)}\ndata: ${JSON.stringify(showEvent(event))}\n\n`;
}

function cursorAt({ at, since }: TailCursor, until: string, { xid, event_id }: CommittedEvent): TailCursor {
  return { at, since, within: { until, xid, id: event_id } };
}
