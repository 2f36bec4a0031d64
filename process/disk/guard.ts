import type { Logger } from 'pino';
import { isDiskFull } from '../../db/errors.ts';
import { type DiskLimits, type DiskState, judgeDisk } from '../../domain/system/disk.ts';
import { DiskFull, type Ingest } from '../../ingest/outcome.ts';
import type { Deafness } from '../deafness.ts';
import { type Repetition, repeat } from '../repeat.ts';
import type { KnownBy, MeasureDisk, Measured } from './space.ts';

/**
 * Pause between two measurements of the disk, in milliseconds. It is short, so that what is written in
 * between fits into the space that must stay free.
 */
const EVERY_MS = 1_000;

/** How old a measurement may be before the state of the disk counts as unknown, in milliseconds. */
const STALE_MS = 60_000;

/**
 * How long an error of PostgreSQL that its disk is full counts, and how long senders are told to wait.
 * Milliseconds.
 */
const FULL_FOR_MS = 30_000;

/** The state of PostgreSQL's disk. If it is unknown, all other fields are null. */
export interface DiskReport {
  state: DiskState | 'unknown';
  free_bytes: number | null;
  total_bytes: number | null;
  known_by: KnownBy | null;
  /** Epoch milliseconds. */
  measured_at: number | null;
}

/**
 * Notices that a disk fills up before PostgreSQL fails on it. It measures every second, not once per event.
 * While there is too little space it refuses events, so that stored events stay readable and retention can
 * free space.
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
    /** Gets every refusal, as a deaf span. */
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

  /** Checks that there is space for events. @throws DiskFull */
  requireRoom(): void {
    if (this.report().state !== 'full') return;
    this.#refused();
    throw new DiskFull(FULL_FOR_MS / 1000);
  }

  /**
   * Runs work that writes. If PostgreSQL fails in it because the disk is full, the guard remembers that.
   * @throws DiskFull, without running the work if the disk is known to be full; any error of the work
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

  /** Measures the disk once. A failure is logged once; after a while the state becomes unknown. */
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

  /** Measures now and then every second, until it is stopped. */
  start(everyMs = EVERY_MS): this {
    this.#looks = repeat(() => this.look(), everyMs);
    return this;
  }

  async stop(): Promise<void> {
    await this.#looks?.stop();
  }
}

/** Wraps `ingest` so that it refuses events while the disk is full. */
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
