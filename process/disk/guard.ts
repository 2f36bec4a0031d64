import type { Logger } from 'pino';
import { isDiskFull } from '../../db/errors.ts';
import { type DiskLimits, type DiskState, judgeDisk } from '../../domain/system/disk.ts';
import { DiskFull, type Ingest } from '../../ingest/outcome.ts';
import type { Deafness } from '../deafness.ts';
import { type Repetition, repeat } from '../repeat.ts';
import type { KnownBy, MeasureDisk, Measured } from './space.ts';

/**
 * Pause between two looks at the disk, in milliseconds: short enough that what is written meanwhile fits in
 * what is left.
 */
const EVERY_MS = 1_000;

/** A look this old says nothing any more. Milliseconds. */
const STALE_MS = 60_000;

/**
 * How long PostgreSQL's own word that its disk is full counts, and what senders are told to wait.
 * Milliseconds.
 */
const FULL_FOR_MS = 30_000;

/** How PostgreSQL's disk is. All but the state are null while that is unknown. */
export interface DiskReport {
  state: DiskState | 'unknown';
  free_bytes: number | null;
  total_bytes: number | null;
  known_by: KnownBy | null;
  /** Epoch milliseconds. */
  measured_at: number | null;
}

/**
 * Sees a disk run full before PostgreSQL stops on it. Looks every second, never on the way of an event, and
 * refuses events while there is too little room: what is on record stays readable, and retention goes on
 * making room.
 */
export class DiskGuard {
  readonly #measure: MeasureDisk;
  readonly #limits: DiskLimits;
  readonly #clock: () => number;
  readonly #log: Logger;
  readonly #refused: () => void;
  #last: (Measured & { at: number }) | null = null;
  #state: DiskState = 'ok';
  #ranOutAt = Number.NEGATIVE_INFINITY;
  #failing = false;
  #looks: Repetition | null = null;

  constructor({
    measure,
    limits,
    clock,
    log,
    deafness,
  }: {
    measure: MeasureDisk;
    limits: DiskLimits;
    clock: () => number;
    log: Logger;
    /** Hears of every refusal. */
    deafness?: Deafness;
  }) {
    this.#measure = measure;
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
    this.#refused = () => deafness?.refused('disk_full', FULL_FOR_MS);
  }

  report(): DiskReport {
    const now = this.#clock();
    const last = this.#last && now - this.#last.at <= STALE_MS ? this.#last : null;
    const ranOut = now - this.#ranOutAt < FULL_FOR_MS;
    return {
      state: ranOut ? 'full' : last ? this.#state : 'unknown',
      free_bytes: last?.free ?? null,
      total_bytes: last?.total ?? null,
      known_by: last?.knownBy ?? null,
      measured_at: last?.at ?? null,
    };
  }

  /** @throws DiskFull while nothing more should be written */
  requireRoom(): void {
    if (this.report().state !== 'full') return;
    this.#refused();
    throw new DiskFull(FULL_FOR_MS / 1000);
  }

  /**
   * Does what writes. Should PostgreSQL itself have no room for it, that is known from then on.
   * @throws DiskFull, without having tried while nothing more should be written; whatever the work throws
   */
  async withRoom<T>(work: () => Promise<T>): Promise<T> {
    this.requireRoom();
    try {
      return await work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#ranOutAt = this.#clock();
      this.#refused();
      throw new DiskFull(FULL_FOR_MS / 1000, { cause: error });
    }
  }

  /** Looks at the disk once. What can't be measured is told once, and is unknown after a while. */
  async look(): Promise<void> {
    try {
      const measured = await this.#measure();
      this.#last = measured && { ...measured, at: this.#clock() };
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#log.warn({ err: error }, 'could not measure the free disk space');
      this.#failing = true;
      return;
    }
    const before = this.#state;
    this.#state = this.#last ? judgeDisk(this.#last, this.#limits, before) : 'ok';
    if (this.#state === before) return;
    const { free, total } = this.#last ?? {};
    const level = this.#state === 'ok' ? 'info' : 'warn';
    this.#log[level]({ before, state: this.#state, free, total }, 'the state of the disk changed');
  }

  /** Looks now and then every second, until it is stopped. */
  start(everyMs = EVERY_MS): this {
    this.#looks = repeat(() => this.look(), everyMs);
    return this;
  }

  async stop(): Promise<void> {
    await this.#looks?.stop();
  }
}

/** A way in that is closed while the disk is full. */
export function guarded(ingest: Ingest, disk: DiskGuard): Ingest {
  return {
    accept: (events) => disk.withRoom(() => ingest.accept(events)),
    claimTimes: (claims) => disk.withRoom(() => ingest.claimTimes(claims)),
    requireRoom() {
      disk.requireRoom();
      ingest.requireRoom();
    },
    load: () => ingest.load(),
    stop: () => ingest.stop(),
  };
}
