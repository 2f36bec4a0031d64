import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { takeOutbox } from '../../db/queries/rules/wake.ts';
import { type IngestObserver, unobserved } from '../observer.ts';

/**
 * The shortest time between two rounds, in milliseconds. Single events commit hundreds of times per second,
 * and a round costs PostgreSQL as much as an append of fifty events. After a pause, the first commit starts a
 * round at once.
 */
const ROUND_MS = 20;

/**
 * Converts the outbox rows of appends into pending evaluations and signals the rules concerned. Appends that
 * commit during a round share the next one. The sweep repeats what fails.
 */
export class Waker {
  readonly #orm: Orm;
  /** Signals rules. Nothing here waits for it. */
  readonly #signal: (ruleIds: readonly string[]) => Promise<void>;
  readonly #log: Logger;
  readonly #observer: IngestObserver;
  #ids: string[] = [];
  /** When the oldest waiting append was committed, by `performance.now()`. */
  #since = 0;
  #running: Promise<void> | null = null;

  constructor({
    orm,
    signal,
    log,
    observer = unobserved,
  }: {
    orm: Orm;
    signal: (ruleIds: readonly string[]) => Promise<void>;
    log: Logger;
    observer?: IngestObserver;
  }) {
    this.#orm = orm;
    this.#signal = signal;
    this.#log = log;
    this.#observer = observer;
  }

  /** Notes committed outbox rows. It does not wait. */
  committed(outboxIds: readonly string[]): void {
    if (this.#ids.length === 0) this.#since = performance.now();
    this.#ids.push(...outboxIds);
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Resolves when every outbox row is converted. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  readonly #failed = (error: unknown): void => {
    this.#log.warn({ err: error }, 'could not wake rules; the sweep will do it');
  };

  async #run(): Promise<void> {
    while (this.#ids.length > 0) {
      const next = sleep(ROUND_MS);
      const ids = this.#ids.splice(0, 1000);
      const since = this.#since;
      try {
        const rules = await takeOutbox(sqlOf(this.#orm), ids);
        this.#signal(rules).then(() => this.#observer.woken(performance.now() - since), this.#failed);
      } catch (error) {
        this.#failed(error);
      }
      await next;
    }
  }
}
