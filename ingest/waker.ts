import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { takeOutbox } from '../db/queries/wake.ts';

/**
 * Follows appends: turns their outbox rows into pending evaluations and signals the rules concerned. Appends that commit
 * while it works are taken together in its next round. Whatever it fails to do, the sweep of the rules worker does.
 */
export class Waker {
  readonly #orm: Orm;
  readonly #signal: (ruleIds: readonly string[]) => Promise<void>;
  readonly #log: Logger;
  #ids: string[] = [];
  #running: Promise<void> | null = null;

  constructor({
    orm,
    signal,
    log,
  }: {
    orm: Orm;
    signal: (ruleIds: readonly string[]) => Promise<void>;
    log: Logger;
  }) {
    this.#orm = orm;
    this.#signal = signal;
    this.#log = log;
  }

  /** Returns at once. */
  committed(outboxIds: readonly string[]): void {
    this.#ids.push(...outboxIds);
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#ids.length > 0) {
      const ids = this.#ids.splice(0, 1000);
      try {
        await this.#signal(await takeOutbox(sqlOf(this.#orm), ids));
      } catch (error) {
        this.#log.warn({ err: error, rows: ids.length }, 'waking rules failed; the sweep will do it');
      }
    }
  }
}
