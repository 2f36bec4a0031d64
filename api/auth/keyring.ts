import type { Credential } from '../../db/queries/keys/keys.ts';
import { TooManyKeys, Unavailable } from '../http/problem.ts';
import { type LoadCredentials, Lookups } from './lookups.ts';

/**
 * How long an answer about a secret is relied on, in milliseconds: a key that was revoked elsewhere ends
 * within it.
 */
export const FRESH_MS = 5000;

/**
 * How long a key goes on that can't be looked up again because PostgreSQL is away; nobody can revoke it
 * meanwhile either.
 */
export const GRACE_MS = 300_000;

/** Pause after a look-up that failed, in milliseconds. */
const RETRY_MS = 1000;

/**
 * Secrets remembered at the most: of those known, and of those not known, so that guesses push no key out.
 */
const CAPACITY = 10_000;

interface Known {
  credential: Credential;
  /** Asked for then and confirmed. */
  confirmedAt: number;
  /** Relied on until then. */
  checkAt: number;
}

/** What this process knows of keys and sessions, so that requests read nothing from PostgreSQL. */
export class Keyring {
  readonly #lookups: Lookups;
  readonly #uptime: () => number;
  readonly #known = new Map<string, Known>();
  /** Secrets that nobody has, and until when that is relied on. */
  readonly #unknown = new Map<string, number>();
  #generation = 0;

  /**
   * @param uptime milliseconds that never go back, unlike the time of day: a clock put right must not make a
   * key outlive its end
   */
  constructor(load: LoadCredentials, uptime: () => number = () => performance.now()) {
    this.#lookups = new Lookups(load);
    this.#uptime = uptime;
  }

  /** Whether a secret, by its hash, was good when it was last looked up. */
  knows(hash: string): boolean {
    return this.#known.has(hash);
  }

  /**
   * The key of a secret, by its hash; null when nobody has it. Whether it has ended is the caller's to judge.
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
      // Read before something was forgotten, it may be just that.
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

  /**
   * A key or a session was made or ended here: what was known of it counts no more, also where it is being
   * looked up.
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
