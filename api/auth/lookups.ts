import type { Credential } from '../../db/queries/keys/keys.ts';
import { within } from '../../process/within.ts';
import { TooManyKeys } from '../http/problem.ts';

/** How many secrets may wait for a look-up, and how long a request waits for one, in milliseconds. */
const MOST_WAITING = 5000;
const PATIENCE_MS = 2000;

export type LoadCredentials = (hashes: readonly string[]) => Promise<Credential[]>;

/**
 * Looks up keys, with one statement at a time. Secrets that arrive while a statement runs share the next one.
 * However many secrets are tried at once, PostgreSQL serves one connection.
 */
export class Lookups {
  readonly #load: LoadCredentials;
  #gathered = new Map<string, PromiseWithResolvers<Credential | null>>();
  #running = false;

  constructor(load: LoadCredentials) {
    this.#load = load;
  }

  /**
   * Looks up a secret by its hash, with a statement that begins after this call. Null if it belongs to
   * nobody.
   * @throws TooManyKeys, or the error of the statement
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
