import type { Logger } from 'pino';
import { type Repetition, repeat } from '../../process/repeat.ts';

/** How often the uses are stored, in milliseconds. */
const EVERY_MS = 60_000;

/**
 * Notes when each key was last used. It stores that once a minute and when the process stops, so that
 * requests do not wait for it.
 */
export class LastUse {
  readonly #write: (used: ReadonlyMap<string, number>) => Promise<void>;
  readonly #log: Logger;
  #used = new Map<string, number>();
  #writes: Repetition | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(write: (used: ReadonlyMap<string, number>) => Promise<void>, log: Logger) {
    this.#write = write;
    this.#log = log;
  }

  /** `at` in epoch ms. */
  note(id: string, at: number): void {
    this.#used.set(id, at);
  }

  start(): void {
    this.#writes = repeat(() => this.flush(), EVERY_MS);
  }

  async stop(): Promise<void> {
    await this.#writes?.stop();
    await this.flush();
  }

  /** Stores the noted uses. If that fails, they are kept for the next time. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#flush());
    return this.#writing;
  }

  async #flush(): Promise<void> {
    const used = this.#used;
    if (used.size === 0) return;
    this.#used = new Map();
    try {
      await this.#write(used);
    } catch (error) {
      this.#log.warn({ err: error }, 'could not store yet when keys were last used');
      this.#used = new Map([...used, ...this.#used]);
    }
  }
}
