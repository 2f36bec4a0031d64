import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import { isDataError } from '../../../db/errors.ts';
import type { Orm } from '../../../db/orm.ts';
import {
  KEPT_OF_A_KEY,
  keepRejections,
  type Rejection,
  type RejectionCount,
} from '../../../db/queries/rejections/rows.ts';
import type { IngestObserver } from '../../../ingest/observer.ts';
import type { Deafness } from '../../../process/deafness.ts';
import { type Repetition, repeat } from '../../../process/repeat.ts';
import { beginning } from './beginning.ts';

/** Pause between two writes, in milliseconds. */
const EVERY_MS = 1000;

/** Longest key id that the table takes. */
const KEY_LENGTH = 64;

/**
 * Keys whose refusals are held at once, and counts: a route, reason and hour each. More than there can be in
 * a day.
 */
const MOST_KEYS = 500;
const MOST_COUNTS = 10_000;

const HOUR_MS = 3_600_000;

/** A refusal as it happens. The item is only written out when it is kept. */
export type Refusal = Omit<Rejection, 'at' | 'item'> & { item?: unknown };

/**
 * Counts what is refused and keeps the last few of each key, in memory, and brings it to PostgreSQL once a
 * second: a flood of bad requests costs one small transaction a second. While PostgreSQL is away counts add
 * up and the older refusals make room.
 */
export class Rejections {
  /** Hears of refusals that are ours; absent where nobody judges silence. */
  readonly deafness: Deafness | undefined;
  readonly #orm: Orm;
  readonly #clock: () => number;
  readonly #log: Logger;
  readonly #total: Counter;
  readonly #observer: IngestObserver;
  #counts = new Map<string, RejectionCount>();
  #last = new Map<string, Rejection[]>();
  /** Refusals of each key that were kept since the last write. */
  #kept = new Map<string, number>();
  #failing = false;
  #writes: Repetition | null = null;

  constructor({
    orm,
    clock,
    log,
    registry,
    observer,
    deafness,
  }: {
    orm: Orm;
    clock: () => number;
    log: Logger;
    registry: Registry;
    observer: IngestObserver;
    deafness?: Deafness;
  }) {
    this.deafness = deafness;
    this.#orm = orm;
    this.#clock = clock;
    this.#log = log;
    this.#observer = observer;
    this.#total = new Counter({
      name: 'tocsin_rejections_total',
      help: 'Requests and items of requests that the ingest routes refused',
      labelNames: ['route', 'reason', 'kind'],
      registers: [registry],
    });
  }

  /** Refusals that wait to be written. */
  get held(): number {
    return [...this.#last.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** Takes note of a refusal. Returns at once. */
  note({ item, ...given }: Refusal): void {
    const refusal = { ...given, key: given.key.slice(0, KEY_LENGTH) };
    const { route, reason, kind, key } = refusal;
    this.#total.inc({ route, reason, kind });
    if (kind === 'event') this.#observer.invalid(1);
    const at = this.#clock();
    this.#count({ hour: Math.floor(at / HOUR_MS) * HOUR_MS, route, reason, kind, n: 1 });
    // Of a flood the first of each second are kept: writing an item out is what would cost.
    const kept = this.#kept.get(key) ?? 0;
    if (kept >= KEPT_OF_A_KEY) return;
    this.#kept.set(key, kept + 1);
    this.#keep({ ...refusal, at, item: item === undefined ? null : beginning(item) });
  }

  /** Writes what has come up. What can't be written is kept for the next time. */
  async flush(): Promise<void> {
    const counts = [...this.#counts.values()];
    const last = [...this.#last.values()].flat();
    this.#counts = new Map();
    this.#last = new Map();
    this.#kept = new Map();
    if (counts.length === 0) return;
    try {
      await keepRejections(this.#orm, counts, last);
      this.#failing = false;
    } catch (error) {
      if (isDataError(error)) {
        // It would fail for ever, and keep what comes after it from being written.
        this.#log.error(
          { err: error, counts: counts.length },
          'PostgreSQL rejects records of refused requests; they are lost',
        );
        return;
      }
      if (!this.#failing)
        this.#log.warn({ err: error }, 'could not record refused requests; they are kept in memory');
      this.#failing = true;
      const since = [...this.#last.values()].flat();
      this.#last = new Map();
      for (const count of counts) this.#count(count);
      for (const rejection of [...last, ...since]) this.#keep(rejection);
    }
  }

  /** Writes once a second from now on. */
  start(everyMs = EVERY_MS): this {
    this.#writes = repeat(() => this.flush(), everyMs);
    return this;
  }

  /** Writes for the last time. */
  async stop(): Promise<void> {
    await this.#writes?.stop();
    await this.flush();
  }

  #count(count: RejectionCount): void {
    const id = `${count.hour} ${count.route} ${count.reason} ${count.kind}`;
    const known = this.#counts.get(id);
    if (known) known.n += count.n;
    else if (this.#counts.size < MOST_COUNTS) this.#counts.set(id, { ...count });
  }

  #keep(rejection: Rejection): void {
    const { key } = rejection;
    const last = this.#last.get(key) ?? [];
    if (last.length >= KEPT_OF_A_KEY) last.shift();
    last.push(rejection);
    // The key that was refused last is the last to make room.
    this.#last.delete(key);
    this.#last.set(key, last);
    if (this.#last.size > MOST_KEYS) this.#last.delete(this.#last.keys().next().value!);
  }
}
