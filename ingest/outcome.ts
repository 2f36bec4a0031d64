import type { Event } from '../domain/events/event.ts';

/** What became of one event. `duplicate` carries the event as it is stored. */
export type Outcome =
  | { status: 'stored'; event: Event }
  | { status: 'duplicate'; event: Event }
  | { status: 'invalid'; field: string; reason: string };

/** The buffer is full: nothing was accepted. */
export class BufferFull extends Error {
  override name = 'BufferFull';
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number) {
    super(`the ingest buffer is full; try again in ${retryAfterSeconds} s`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * PostgreSQL can't be reached or broke off: the events may or may not be stored, and are safe to send again.
 */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}

/** PostgreSQL's disk has no room: nothing is accepted until it has. */
export class DiskFull extends Error {
  override name = 'DiskFull';
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number, options?: ErrorOptions) {
    super('the disk of PostgreSQL is full: events are refused until there is space', options);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** What an ingest process holds and has not appended, for its heartbeat. */
export interface IngestLoad {
  buffered: number;
  inFlight: number;
  /** Epoch milliseconds of the oldest event held; null for none. */
  oldestUnappended: number | null;
}

/** The way in: used by the ingest activity and by the API alike. */
export interface Ingest {
  /**
   * Stores events whose identity is fixed, as one commit with whatever else is waiting, and resolves after
   * it. Outcomes are in the order given.
   * @throws BufferFull, DiskFull, StoreUnavailable
   */
  accept(events: readonly Event[]): Promise<Outcome[]>;
  /** For whoever asks before it reads or parses what it would have to refuse. @throws BufferFull, DiskFull */
  requireRoom(): void;
  /**
   * Fixes the time of events that came with an id and none: the first claim wins, and racing retries agree.
   */
  claimTimes(claims: readonly { event_id: string; occurred_at: number }[]): Promise<number[]>;
  load(): IngestLoad;
  /** Accepts no more, commits what was accepted, and resolves. */
  stop(): Promise<void>;
}
