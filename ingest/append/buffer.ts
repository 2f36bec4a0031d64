import type { Event } from '../../domain/events/event.ts';
import { BufferFull, type IngestLoad, type Outcome } from '../outcome.ts';
import type { Appended } from './append.ts';

interface Waiting {
  events: readonly Event[];
  resolve: (outcomes: Outcome[]) => void;
  reject: (error: unknown) => void;
}

/**
 * An append that takes longer than this may be waiting for something that other appends do not need.
 * Milliseconds.
 */
const HELD_UP_MS = 50;

export interface BufferLimits {
  /** How many events may wait. Further ones are refused. */
  bufferEvents: number;
  /** The most events in one append. A larger batch is appended alone. */
  appendEvents: number;
  /** How many appends may run at the same time. Two keep PostgreSQL busy while the next one is collected. */
  appendsInFlight: number;
  /** How many events must wait before an append may begin while another is running. */
  besideEvents: number;
}

/**
 * Groups commits: events that arrive during an append share the next one. The buffer is bounded, so that
 * memory stays constant and a sender that is too fast is told at once.
 */
export class Buffer {
  readonly #append: (events: readonly Event[]) => Promise<Appended>;
  readonly #committed: (outboxIds: string[]) => void;
  readonly #limits: BufferLimits;
  readonly #waiting: Waiting[] = [];
  readonly #appending = new Set<Waiting[]>();
  #buffered = 0;
  /** How many of these are being appended. */
  #underWay = 0;
  /** When the last append began, by `performance.now()`. */
  #begun = 0;
  /** Moving average of the number of events per request. */
  #usual = 1;
  /** Recent rate of appends in events per second, to compute `Retry-After`. */
  #rate = 10_000;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #idle: (() => void) | null = null;

  constructor(
    append: (events: readonly Event[]) => Promise<Appended>,
    committed: (outboxIds: string[]) => void,
    limits: BufferLimits,
  ) {
    this.#append = append;
    this.#committed = committed;
    this.#limits = limits;
  }

  /** Resolves once the events are committed. @throws BufferFull, or the error of the append */
  accept(events: readonly Event[]): Promise<Outcome[]> {
    if (events.length === 0) return Promise.resolve([]);
    this.#usual += (events.length - this.#usual) / 16;
    const full = this.#buffered > 0 && this.#buffered + events.length > this.#limits.bufferEvents;
    if (this.#stopped || full) return Promise.reject(this.#full());
    this.#buffered += events.length;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ events, resolve, reject });
      this.#pump();
    });
  }

  /**
   * Checks that the buffer has room for as many events as a request usually has, before a request is read.
   * Without this check, a nearly full buffer would let each request be read and then refuse it. At most a
   * tenth of the buffer is required, so that a few large requests do not keep out small ones.
   * @throws BufferFull
   */
  requireRoom(): void {
    const { bufferEvents } = this.#limits;
    const required = Math.min(this.#usual, Math.max(1, bufferEvents / 10));
    const full = this.#buffered > 0 && this.#buffered + required > bufferEvents;
    if (this.#stopped || full) throw this.#full();
  }

  #full(): BufferFull {
    return new BufferFull(Math.max(1, Math.ceil(this.#buffered / this.#rate)));
  }

  load(): IngestLoad {
    let oldest: number | null = null;
    for (const waiting of [this.#waiting, ...this.#appending]) {
      for (const { events } of waiting) {
        for (const { occurred_at } of events) {
          if (oldest === null || occurred_at < oldest) oldest = occurred_at;
        }
      }
    }
    return { buffered: this.#buffered, inFlight: this.#appending.size, oldestUnappended: oldest };
  }

  /** Accepts no more events, and resolves when all accepted ones are answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#buffered > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  #pump(): void {
    while (this.#waiting.length > 0 && this.#mayBegin()) {
      const batch: Waiting[] = [];
      let size = 0;
      while (this.#waiting.length > 0) {
        const next = this.#waiting[0]!;
        if (size > 0 && size + next.events.length > this.#limits.appendEvents) break;
        batch.push(next);
        size += next.events.length;
        this.#waiting.shift();
      }
      this.#appending.add(batch);
      this.#underWay += size;
      this.#begun = performance.now();
      void this.#run(batch, size);
    }
    this.#lookAgain();
  }

  /**
   * Looks again after a while, so that events which wait for a slow append do not depend on another request
   * to arrive.
   */
  #lookAgain(): void {
    if (this.#timer || this.#waiting.length === 0) return;
    if (this.#appending.size >= this.#limits.appendsInFlight) return;
    const left = this.#begun + HELD_UP_MS - performance.now();
    const look = () => {
      this.#timer = undefined;
      this.#pump();
    };
    this.#timer = setTimeout(look, Math.max(1, Math.ceil(left)));
  }

  /**
   * Decides whether an append may begin. An append costs as much as a hundred events. So if one is running
   * and fewer events wait, they wait for the next one, unless the running one is held up.
   */
  #mayBegin(): boolean {
    const { appendsInFlight, besideEvents } = this.#limits;
    if (this.#appending.size >= appendsInFlight) return false;
    if (this.#appending.size === 0 || this.#buffered - this.#underWay >= besideEvents) return true;
    return performance.now() - this.#begun >= HELD_UP_MS;
  }

  async #run(batch: Waiting[], size: number): Promise<void> {
    const started = performance.now();
    try {
      const { outcomes, outboxIds } = await this.#append(batch.flatMap(({ events }) => events));
      this.#rate = 0.8 * this.#rate + (0.2 * size * 1000) / Math.max(1, performance.now() - started);
      if (outboxIds.length > 0) this.#committed(outboxIds);
      let from = 0;
      for (const { events, resolve } of batch) {
        resolve(outcomes.slice(from, from + events.length));
        from += events.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#appending.delete(batch);
      this.#buffered -= size;
      this.#underWay -= size;
      this.#pump();
      if (this.#stopped && this.#buffered === 0) this.#idle?.();
    }
  }
}
