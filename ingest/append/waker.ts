import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { takeOutbox } from '../../db/queries/rules/wake.ts';
import { type IngestObserver, unobserved } from '../observer.ts';

/**
 * Shortest time from one round to the next, in milliseconds. Single events commit hundreds of times a second,
 * and a round costs PostgreSQL as much as an append of fifty events; the first commit after a pause is
 * followed at once.
 */
const ROUND_MS = 20;

/**
 * Follows appends: turns their outbox rows into pending evaluations and signals the rules concerned. Appends
 * that commit while it works are taken together in its next round. Whatever it fails to do, the sweep of the
 * rules worker does.
 */
export class Waker {
  readonly #orm: Orm;
  /** Resolves once they are signalled, or can't be: nothing here waits for that. */
  readonly #signal: (ruleIds: readonly string[]) => Promise<void>;
  readonly #log: Logger;
  readonly #observer: IngestObserver;
  #ids: string[] = [];
  /** When the oldest of them was committed, by `performance.now()`. */
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

  /** Returns at once. */
  committed(outboxIds: readonly string[]): void {
    if (this.#ids.length === 0) this.#since = performance.now();
    this.#ids.push(...outboxIds);
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Resolves when every outbox row is taken. */
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
