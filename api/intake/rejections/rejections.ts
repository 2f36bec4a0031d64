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

/** The longest key id that the table stores. */
const KEY_LENGTH = 64;

/**
 * How many keys with refusals are held in memory, and how many counts (route, reason and hour): more than
 * occur in a day.
 */
const MOST_KEYS = 500;
const MOST_COUNTS = 10_000;

const HOUR_MS = 3_600_000;

/** A refusal when it happens. The item is converted to text only if it is stored. */
export type Refusal = Omit<Rejection, 'at' | 'item'> & { item?: unknown };

/**
 * Counts refusals and keeps the latest of each key in memory. It writes them to PostgreSQL once a second, so
 * a flood of bad requests costs one small transaction per second. While PostgreSQL is down, counts add up,
 * and new refusals displace older ones.
 */
export class Rejections {
  /** Gets refusals that are Tocsin's fault, as deaf spans; absent if no rules are judged. */
  readonly deafness: Deafness | undefined;
  readonly #orm: Orm;
  readonly #clock: () => number;
  readonly #log: Logger;
  readonly #total: Counter;
  readonly #observer: IngestObserver;
  #counts = new Map<string, RejectionCount>();
  #last = new Map<string, Rejection[]>();
  /** How many refusals of each key were kept since the last write. */
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

  /** How many refusals wait to be written. */
  get held(): number {
    return [...this.#last.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** Notes a refusal. It does not wait. */
  note({ item, ...given }: Refusal): void {
    const refusal = { ...given, key: given.key.slice(0, KEY_LENGTH) };
    const { route, reason, kind, key } = refusal;
    this.#total.inc({ route, reason, kind });
    if (kind === 'event') this.#observer.invalid(1);
    const at = this.#clock();
    this.#count({ hour: Math.floor(at / HOUR_MS) * HOUR_MS, route, reason, kind, n: 1 });
    // Of a flood only the first refusals of each second are kept, because converting an item to text is the
    // expensive part.
    const kept = this.#kept.get(key) ?? 0;
    if (kept >= KEPT_OF_A_KEY) return;
    this.#kept.set(key, kept + 1);
    this.#keep({ ...refusal, at, item: item === undefined ? null : beginning(item) });
  }

  /** Writes the noted refusals. If that fails, they are kept for the next time. */
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
        // This refusal would fail at every attempt and block those after it, so it is dropped.
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

  /** Starts writing once a second. */
  start(everyMs = EVERY_MS): this {
    this.#writes = repeat(() => this.flush(), everyMs);
    return this;
  }

  /** Writes a last time and stops. */
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
    // Moves the key to the end, so that it is the last one to be displaced.
    this.#last.delete(key);
    this.#last.set(key, last);
    if (this.#last.size > MOST_KEYS) this.#last.delete(this.#last.keys().next().value!);
  }
}
