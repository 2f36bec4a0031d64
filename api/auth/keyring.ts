import type { Credential } from '../../db/queries/keys/keys.ts';
import { TooManyKeys, Unavailable } from '../http/problem.ts';
import { type LoadCredentials, Lookups } from './lookups.ts';

/**
 * How long this process trusts a looked-up secret, in milliseconds. A key that another process revoked stops
 * working within this time.
 */
export const FRESH_MS = 5000;

/**
 * How long a key keeps working while PostgreSQL is down and it cannot be looked up again, in milliseconds.
 * Nobody can revoke it in that time either.
 */
export const GRACE_MS = 300_000;

/** Pause after a failed look-up, in milliseconds. */
const RETRY_MS = 1000;

/**
 * How many secrets are remembered: so many valid ones, and so many invalid ones. They are kept apart, so that
 * guesses do not displace valid keys.
 */
const CAPACITY = 10_000;

interface Known {
  credential: Credential;
  /** When the look-up that confirmed the key began. */
  confirmedAt: number;
  /** When the key must be looked up again. */
  checkAt: number;
}

/** The keys and sessions that this process remembers, so that most requests read nothing from PostgreSQL. */
export class Keyring {
  readonly #lookups: Lookups;
  readonly #uptime: () => number;
  readonly #known = new Map<string, Known>();
  /** Secrets that belong to nobody, with the time until which that is trusted. */
  readonly #unknown = new Map<string, number>();
  #generation = 0;
  /** The bootstrap key, until it is stored. */
  #awaited: string | null = null;

  /**
   * @param uptime a clock in milliseconds that never goes back. The time of day could, and would then prolong
   * a key that has ended.
   */
  constructor(load: LoadCredentials, uptime: () => number = () => performance.now()) {
    this.#lookups = new Lookups(load);
    this.#uptime = uptime;
  }

  /** True if the secret with this hash was valid when it was last looked up. */
  knows(hash: string): boolean {
    return this.#known.has(hash);
  }

  /**
   * Finds the key or session of a secret by its hash; null if there is none. The caller must check whether it
   * has ended.
   * @throws Unavailable
   */
  async find(hash: string): Promise<Credential | null> {
    const asked = this.#uptime();
    const known = this.#known.get(hash);
    if (known && asked < known.checkAt) return known.credential;
    if (asked < (this.#unknown.get(hash) ?? 0)) return null;
    const generation = this.#generation;
    try {
      const credential = await this.#lookups.find(hash);
      if (credential === null && hash === this.#awaited)
        throw new Error('the bootstrap key is not stored yet');
      // If a key was forgotten during the look-up, the result may be out of date and is not remembered.
      if (generation === this.#generation) this.#remember(hash, credential, asked);
      return credential;
    } catch (error) {
      if (!known || asked >= known.confirmedAt + GRACE_MS || generation !== this.#generation) {
        if (error instanceof TooManyKeys) throw error;
        throw new Unavailable('the key cannot be checked: PostgreSQL is unavailable', 1, error);
      }
      known.checkAt = this.#uptime() + RETRY_MS;
      return known.credential;
    }
  }

  /** Names a secret that is about to be stored. While PostgreSQL does not have it, it cannot be checked. */
  expect(hash: string | null): void {
    this.#awaited = hash;
  }

  /**
   * Forgets keys or sessions that this process created or ended, including those that are being looked up.
   */
  forget(which: (credential: Credential) => boolean): void {
    this.#generation++;
    this.#unknown.clear();
    for (const [hash, { credential }] of this.#known) if (which(credential)) this.#known.delete(hash);
  }

  #remember(hash: string, credential: Credential | null, asked: number): void {
    this.#known.delete(hash);
    this.#unknown.delete(hash);
    if (credential) this.#known.set(hash, { credential, confirmedAt: asked, checkAt: asked + FRESH_MS });
    else this.#unknown.set(hash, asked + FRESH_MS);
    for (const map of [this.#known, this.#unknown]) {
      if (map.size > CAPACITY) map.delete(map.keys().next().value!);
    }
  }
}
