import { condition, patched } from '@temporalio/workflow';
import type { ProducerSettings } from '../../domain/producers/producer.ts';
import {
  batchSize,
  MAX_BATCH_EVENTS,
  nextSpan,
  type Span,
  settingsFlaw,
  tickAtOrBefore,
  tickMs,
} from '../../domain/producers/tick.ts';
import { aboutProducer } from '../../domain/temporal-ui/about.ts';
import type { Batch, ProducerInput, ProducerStatus } from '../messages.ts';
import { Shown, until } from '../shown.ts';
import { allowedInFlight, type Breaker, closedBreaker, tryNow } from './breaker.ts';
import { producerDetails } from './details.ts';

/** How many batches of a source may be in flight. */
export const MAX_IN_FLIGHT = 4;

/**
 * If a producer is further behind than this, several ticks share a batch, so that it catches up within
 * seconds. Milliseconds.
 */
const MERGE_BEHIND_MS = 60_000;
const MERGED_TICKS = 10;

/**
 * If a producer is further behind than this, it skips ticks: after the machine slept all night, nobody needs
 * the events of the night. Milliseconds.
 */
const GIVE_UP_BEHIND_MS = 15 * 60_000;

/** How often the status is updated while nothing can be emitted, in milliseconds. */
const LOOK_AGAIN_MS = 30_000;

/** The progress of a producer. It decides which batch may be emitted next. */
export class Pace {
  readonly sourceId: string;
  readonly shown = new Shown();
  settings: ProducerSettings;
  paused: boolean;
  breaker: Breaker;
  emitted: number;
  deadLettered: number;
  lastError: string | null;
  #nextSequence: number;
  #coveredTo: number;
  readonly #flying = new Map<number, Batch>();
  #changes = 0;

  constructor({ source_id, settings, paused = false, resume }: ProducerInput) {
    this.sourceId = source_id;
    this.settings = settings;
    this.paused = paused;
    this.breaker = resume?.breaker ?? closedBreaker();
    this.emitted = resume?.emitted ?? 0;
    this.deadLettered = resume?.dead_lettered ?? 0;
    this.lastError = resume?.last_error ?? null;
    this.#nextSequence = resume?.next_sequence ?? 0;
    this.#coveredTo = resume?.covered_to ?? this.#lastTick();
  }

  get inFlight(): number {
    return this.#flying.size;
  }

  changed(): void {
    this.#changes += 1;
  }

  /** Takes over settings from the row. */
  adopt(settings: ProducerSettings, paused: boolean): void {
    const wasBlocked = this.#blocked();
    this.settings = settings;
    this.paused = paused;
    if (wasBlocked && !this.#blocked()) this.#coveredTo = Math.max(this.#coveredTo || 0, this.#lastTick());
    this.changed();
  }

  pause(): ProducerStatus {
    this.adopt(this.settings, true);
    return this.status();
  }

  /** Continues from now on. A pause leaves a gap in time, but not in the sequence numbers. */
  resume(): ProducerStatus {
    return this.configure(this.settings, false);
  }

  configure(settings: ProducerSettings, paused: boolean): ProducerStatus {
    this.adopt(settings, paused);
    tryNow(this.breaker);
    return this.status();
  }

  /** Takes the batch that may be emitted now, which is then in flight; null if there is none. */
  take(): Batch | null {
    const now = Date.now();
    if (this.#blocked() || this.inFlight >= allowedInFlight(this.breaker, now, MAX_IN_FLIGHT)) return null;
    this.#passOver(now);
    const span = this.#merged(this.#next(), now);
    if (span.tick_at > now) return null;
    const batch: Batch = {
      source_id: this.sourceId,
      first_sequence: this.#nextSequence,
      ...span,
      settings: this.settings,
      appended_through: Math.min(span.from_at, ...[...this.#flying.values()].map(({ from_at }) => from_at)),
      // A batch that was in flight when this patch came may be stored already, under its old ids.
      ...(patched('reserved-event-ids') ? { ids: 'reserved' } : {}),
    };
    this.#coveredTo = span.tick_at;
    this.#nextSequence += batchSize(this.settings, span);
    this.#flying.set(span.tick_at, batch);
    return batch;
  }

  /** Notes that a batch is appended or a dead letter, so that another may go. */
  landed(batch: Batch): void {
    this.#flying.delete(batch.tick_at);
  }

  /** Sleeps until a tick is due and a batch may be in flight, or until a message arrives. */
  async untilSomethingCanGo(): Promise<void> {
    this.describe();
    const seen = this.#changes;
    const told = () => this.#changes !== seen;
    if (this.#blocked()) return condition(told);
    const now = Date.now();
    const flying = this.inFlight;
    if (flying > 0 && flying >= allowedInFlight(this.breaker, now, MAX_IN_FLIGHT)) {
      await condition(() => told() || this.inFlight < flying, LOOK_AGAIN_MS);
      return;
    }
    const due = Math.max(this.breaker.retry_at ?? 0, this.#next().tick_at);
    await until(told, due - now, this.breaker.retry_at ? 'Next trial' : 'Next batch');
  }

  status(): ProducerStatus {
    const next_tick_at = this.#blocked() ? this.#coveredTo : this.#next().tick_at;
    return {
      state: this.paused ? 'paused' : this.breaker.opened > 0 ? 'breaker open' : 'running',
      settings: this.settings,
      next_sequence: this.#nextSequence,
      next_tick_at,
      behind_ms: this.#blocked() ? 0 : Math.max(0, Date.now() - next_tick_at),
      in_flight: this.inFlight,
      emitted: this.emitted,
      dead_lettered: this.deadLettered,
      last_error: this.lastError,
    };
  }

  /** The input of the next run. */
  input(): ProducerInput {
    return {
      source_id: this.sourceId,
      settings: this.settings,
      paused: this.paused,
      resume: {
        next_sequence: this.#nextSequence,
        covered_to: this.#coveredTo,
        emitted: this.emitted,
        dead_lettered: this.deadLettered,
        last_error: this.lastError,
        breaker: this.breaker,
      },
    };
  }

  /** Updates what the Temporal Web UI shows. `ending` says why the producer stops. */
  describe(ending?: string): void {
    const status = this.status();
    this.shown.upsert(aboutProducer(this.sourceId, this.settings, status.state));
    this.shown.setDetails(producerDetails(status, this.breaker, ending));
  }

  #blocked(): boolean {
    return this.paused || settingsFlaw(this.settings) !== null;
  }

  #next(): Span {
    return nextSpan(this.sourceId, this.settings, this.#coveredTo);
  }

  #lastTick(at = Date.now()): number {
    return tickAtOrBefore(this.sourceId, this.settings, at);
  }

  /** Skips ticks that are too old to be useful. Sequence numbers are not skipped. */
  #passOver(now: number): void {
    const check = this.settings.kind === 'http-check';
    // A check cannot be made up for later, because its result would be about now and not about then.
    const earliest = check ? this.#lastTick(now) - tickMs(this.settings) : now - GIVE_UP_BEHIND_MS;
    if (this.#coveredTo >= earliest) return;
    const from = new Date(this.#coveredTo).toISOString();
    this.#coveredTo = this.#lastTick(earliest);
    this.lastError = `fell too far behind: no events from ${from} to ${new Date(this.#coveredTo).toISOString()}`;
  }

  #merged(span: Span, now: number): Span {
    if (this.settings.kind === 'http-check' || now - span.tick_at <= MERGE_BEHIND_MS) return span;
    let { from_at, tick_at } = span;
    for (let ticks = 1; ticks < MERGED_TICKS; ticks += 1) {
      const later = tick_at + tickMs(this.settings);
      if (later > now || batchSize(this.settings, { from_at, tick_at: later }) >= MAX_BATCH_EVENTS) break;
      tick_at = later;
    }
    return { from_at, tick_at };
  }
}
