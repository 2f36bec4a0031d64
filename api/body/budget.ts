import { BUDGET_BYTES } from '../limits.ts';
import { Unavailable } from '../problem.ts';

/**
 * What all requests under way may hold of their bodies. However many senders push at once, memory stays within this; whoever
 * finds it used up is told to come back.
 */
export class ByteBudget {
  readonly #limit: number;
  #held = 0;

  constructor(limit = BUDGET_BYTES) {
    this.#limit = limit;
  }

  get held(): number {
    return this.#held;
  }

  /** @throws Unavailable when it would be overdrawn; a single body always fits into an empty budget */
  take(bytes: number): void {
    if (this.#held > 0 && this.#held + bytes > this.#limit) {
      throw new Unavailable('too many requests are being read: try again', 1);
    }
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}
