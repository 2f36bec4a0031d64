import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { takeOutbox } from '../db/queries/wake.ts';

/** Most rules signalled at once. */
const PARALLEL = 16;

/**
 * Follows appends: turns their outbox rows into pending evaluations and signals the rules concerned. Appends that commit
 * while it works are taken together in its next round. Whatever it fails to do, the sweep of the rules worker does.
 */
export class Waker {
  readonly #orm: Orm;
  readonly #signal: (ruleId: string) => Promise<void>;
  readonly #log: Logger;
  #ids: string[] = [];
  #running: Promise<void> | null = null;

  constructor({ orm, signal, log }: { orm: Orm; signal: (ruleId: string) => Promise<void>; log: Logger }) {
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
        await this.signalAll(await takeOutbox(sqlOf(this.#orm), ids));
      } catch (error) {
        this.#log.warn({ err: error, rows: ids.length }, 'waking rules failed; the sweep will do it');
      }
    }
  }

  /** Signals rules, a few at a time. A failure is logged and left to the sweep. */
  async signalAll(ruleIds: readonly string[]): Promise<void> {
    for (let i = 0; i < ruleIds.length; i += PARALLEL) {
      const results = await Promise.allSettled(ruleIds.slice(i, i + PARALLEL).map(this.#signal));
      for (const result of results) {
        if (result.status === 'rejected')
          this.#log.warn({ err: result.reason }, 'a rule could not be signalled');
      }
    }
  }
}
