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

/** Batches of a source on their way at once. */
export const MAX_IN_FLIGHT = 4;

/** Further behind than this, several ticks share a batch, so that an outage is caught up with in seconds. */
const MERGE_BEHIND_MS = 60_000;
const MERGED_TICKS = 10;

/**
 * Further behind than this, ticks are passed over: nobody wants the night's events after the machine slept.
 */
const GIVE_UP_BEHIND_MS = 15 * 60_000;

/** While nothing can go, the status is brought up to date this often. */
const LOOK_AGAIN_MS = 30_000;

/** Where a producer stands, and what it may emit next. */
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

  /** Takes settings over as they are, without a word on what it was doing. */
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

  /** Goes on from now: a pause leaves a gap in time, not in sequence. */
  resume(): ProducerStatus {
    return this.configure(this.settings, false);
  }

  configure(settings: ProducerSettings, paused: boolean): ProducerStatus {
    this.adopt(settings, paused);
    tryNow(this.breaker);
    return this.status();
  }

  /** The batch that may go now, which is then in flight; or null. */
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
      // A batch that was on its way when this came into force may be stored already, under the ids of before.
      ...(patched('reserved-event-ids') ? { ids: 'reserved' } : {}),
    };
    this.#coveredTo = span.tick_at;
    this.#nextSequence += batchSize(this.settings, span);
    this.#flying.set(span.tick_at, batch);
    return batch;
  }

  /** It is appended or in a dead letter: its slot is free. */
  landed(batch: Batch): void {
    this.#flying.delete(batch.tick_at);
  }

  /**
   * Sleeps until the next tick is due, a slot is free, the breaker lets one through, or somebody said
   * something.
   */
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

  /** What the next run starts from. */
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

  /** Updates what the Temporal Web UI shows. `ending`: why it emits no more. */
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

  /** Leaves out ticks that nobody is served by any more. No sequence number is left out. */
  #passOver(now: number): void {
    const check = this.settings.kind === 'http-check';
    // A check can't be made up for: it would tell about now and claim then.
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
