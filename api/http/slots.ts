import type { Principal } from '../auth/access.ts';
import { Problem, Unavailable } from './problem.ts';

/** Limits long answers that hold memory meanwhile: so many for each key, and so many in total. */
export class Slots {
  readonly #what: string;
  readonly #ofOne: number;
  readonly #ofAll: number;
  readonly #taken = new Map<string, number>();
  #all = 0;

  /** @param what the plural used in errors, such as "downloads" */
  constructor(what: string, { ofOne, ofAll }: { ofOne: number; ofAll: number }) {
    this.#what = what;
    this.#ofOne = ofOne;
    this.#ofAll = ofAll;
  }

  /**
   * Takes a slot, and returns the function that gives it back.
   * @throws Problem 429 if the key has all of its slots in use, Unavailable if all slots are in use
   */
  take({ id, name }: Principal): () => void {
    if (this.#all >= this.#ofAll) {
      throw new Unavailable(`${this.#ofAll} ${this.#what} already run in this process`, 5);
    }
    const taken = id === null ? 0 : (this.#taken.get(id) ?? 0);
    if (taken >= this.#ofOne) {
      throw new Problem(429, `${taken} ${this.#what} of the key "${name}" already run in this process`, {
        headers: { 'Retry-After': '5' },
      });
    }
    this.#all++;
    if (id !== null) this.#taken.set(id, taken + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#all--;
      if (id === null) return;
      const now = (this.#taken.get(id) ?? 1) - 1;
      if (now > 0) this.#taken.set(id, now);
      else this.#taken.delete(id);
    };
  }
}
