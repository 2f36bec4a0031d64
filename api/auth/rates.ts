/** What a key that was idle may send at once, as time: a second's worth. */
const BURST_MS = 1000;

/** Accounts at which those that are even again are let go of. */
const MANY = 1000;

/**
 * Events a second by key, in this process alone: with n API processes behind one address a key may send n
 * times its rate.
 *
 * The generic cell rate algorithm (ITU-T I.371), with debt: of each key it keeps the instant at which its
 * account is full again. Whoever is not overdrawn may send a batch of any size, and waits until it is paid
 * back; so a batch larger than the limit gets through, and over time no more than the limit does. Fixed
 * windows, as libraries have them, refuse such a batch for ever.
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
    /** Milliseconds that never go back. */
    uptime?: () => number;
    burstMs?: number;
    /** The longest wait. What would make it longer is not counted. */
    longestMs?: number;
  } = {}) {
    this.#uptime = uptime;
    this.#burstMs = burstMs;
    this.#longestMs = longestMs;
  }

  /** Milliseconds until the key may send again; 0 for now. */
  wait(key: string): number {
    const fullAt = this.#fullAt.get(key) ?? 0;
    return Math.max(0, fullAt - this.#uptime() - this.#burstMs);
  }

  /** Takes events off an account that is not overdrawn. Milliseconds to wait, and nothing taken, if it is. */
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
