import type { Event } from '../domain/events/event.ts';

/** The outcome of one event. `duplicate` has the event as stored. */
export type Outcome =
  | { status: 'stored'; event: Event }
  | { status: 'duplicate'; event: Event }
  | { status: 'invalid'; field: string; reason: string };

/** The buffer is full. No event was accepted. */
export class BufferFull extends Error {
  override name = 'BufferFull';
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number) {
    super(`the ingest buffer is full; try again in ${retryAfterSeconds} s`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * PostgreSQL cannot be reached, or the connection broke. The events may or may not be stored, and can safely
 * be sent again.
 */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}

/** PostgreSQL's disk is full. No event is accepted until there is space. */
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
  /** Event time of the oldest held event, in epoch milliseconds; null if none. */
  oldestUnappended: number | null;
}

/** The ingest path, used by the API and by the ingest activity. */
export interface Ingest {
  /**
   * Stores events whose identity is fixed. They are committed together with others that wait; the promise
   * resolves after the commit. Outcomes are in the given order.
   * @throws BufferFull, DiskFull, StoreUnavailable
   */
  accept(events: readonly Event[]): Promise<Outcome[]>;
  /** Checks that there is room, before a request is read or parsed. @throws BufferFull, DiskFull */
  requireRoom(): void;
  /**
   * Fixes the times of events that have an id but no time. The first call for an id decides, so concurrent
   * retries get the same time.
   */
  claimTimes(claims: readonly { event_id: string; occurred_at: number }[]): Promise<number[]>;
  load(): IngestLoad;
  /** Accepts no more events, commits the accepted ones, and resolves. */
  stop(): Promise<void>;
}
