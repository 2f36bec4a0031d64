/** How much an idle key may send at once, expressed in time: what its rate allows in one second. */
const BURST_MS = 1000;

/** Above this number of keys, those that have their full burst again are forgotten. */
const MANY = 1000;

/**
 * Limits the events per second of each key, in this process alone. With n API processes a key may send n
 * times its rate.
 *
 * It uses the generic cell rate algorithm (ITU-T I.371) with debt: for each key it keeps the time at which
 * the key has its full burst again. A key without debt may send a batch of any size, and must then wait until
 * the debt is paid off. So batches larger than the limit are accepted, but the average stays within the
 * limit. Fixed windows, as libraries offer them, would refuse such a batch for ever.
 */
export class Rates {
  readonly #uptime: () => number;
  readonly #burstMs: number;
  readonly #longestMs: number;
  readonly #fullAt = new Map<string, number>();

  constructor({
    uptime = () => performance.now(),
    burstMs = BURST_MS,
    longestMs = Number.POSITIVE_INFINITY,
  }: {
    /** A clock in milliseconds that never goes back. */
    uptime?: () => number;
    burstMs?: number;
    /** The longest wait. Events that would make a key wait longer are not counted. */
    longestMs?: number;
  } = {}) {
    this.#uptime = uptime;
    this.#burstMs = burstMs;
    this.#longestMs = longestMs;
  }

  /** How long the key must wait until it may send again, in milliseconds; 0 if it need not. */
  wait(key: string): number {
    const fullAt = this.#fullAt.get(key) ?? 0;
    return Math.max(0, fullAt - this.#uptime() - this.#burstMs);
  }

  /**
   * Counts events, unless the key is in debt. Then it counts nothing and returns how long to wait, in
   * milliseconds.
   */
  spend(key: string, perSecond: number, events: number): number {
    const wait = this.wait(key);
    if (wait > 0) return wait;
    const now = this.#uptime();
    const fullAt = Math.max(this.#fullAt.get(key) ?? 0, now);
    const latest = now + this.#burstMs + this.#longestMs;
    this.#fullAt.set(key, Math.min(fullAt + (events * 1000) / perSecond, latest));
    if (this.#fullAt.size > MANY) this.#settle(now);
    return 0;
  }

  #settle(now: number): void {
    for (const [key, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(key);
  }
}
