import type { Credential } from '../../db/queries/keys/keys.ts';
import { within } from '../../process/within.ts';
import { TooManyKeys } from '../http/problem.ts';

/**
 * Secrets that wait to be looked up at the most, and for how long a look-up is waited for, in milliseconds.
 */
const MOST_WAITING = 5000;
const PATIENCE_MS = 2000;

export type LoadCredentials = (hashes: readonly string[]) => Promise<Credential[]>;

/**
 * Looks keys up, one statement after the other: what is asked for while one runs is gathered for the next. So
 * however many secrets are tried at once, it costs PostgreSQL one connection.
 */
export class Lookups {
  readonly #load: LoadCredentials;
  #gathered = new Map<string, PromiseWithResolvers<Credential | null>>();
  #running = false;

  constructor(load: LoadCredentials) {
    this.#load = load;
  }

  /**
   * By a statement that begins after this call; null for a secret that nobody has. @throws TooManyKeys, or
   * why it failed
   */
  find(hash: string): Promise<Credential | null> {
    let asked = this.#gathered.get(hash);
    if (!asked) {
      if (this.#gathered.size >= MOST_WAITING) throw new TooManyKeys();
      asked = Promise.withResolvers();
      this.#gathered.set(hash, asked);
      if (!this.#running) void this.#run();
    }
    return asked.promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#gathered.size > 0) {
      const batch = this.#gathered;
      this.#gathered = new Map();
      try {
        const found = await within(PATIENCE_MS, this.#load([...batch.keys()]));
        const byHash = new Map(found.map((credential) => [credential.hash, credential]));
        for (const [hash, { resolve }] of batch) resolve(byHash.get(hash) ?? null);
      } catch (error) {
        for (const { reject } of batch.values()) reject(error);
      }
    }
    this.#running = false;
  }
}
