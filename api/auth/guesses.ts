import type { Logger } from 'pino';
import { neighbourhood } from '../http/address.ts';
import { seldom } from '../http/log-seldom.ts';
import { Problem } from '../http/problem.ts';

/** Wrong secrets that an address may send at once, and how often one more. */
const AT_ONCE = 20;
const EVERY_MS = 2000;

/** How long an address that came in with a good secret is not slowed, in milliseconds. */
const GOOD_MS = 600_000;

/** How fresh the note of that is kept: requests need not write it down each time. */
const NOTED_MS = 60_000;

/** Addresses remembered at the most, of both kinds; the oldest go first. */
const CAPACITY = 10_000;

/** How often it is logged that somebody guesses. Milliseconds. */
const LOG_EVERY_MS = 60_000;

/**
 * Slows those who try secrets: beyond twenty wrong ones, an address may try one every two seconds, and
 * whatever else it tries is not even looked at. Secrets that are known here already are never slowed, nor are
 * addresses that came in with a good one lately: whoever guesses from behind the same address must not lock
 * out who belongs here, and whoever has a secret has nothing to guess.
 */
export class Guesses {
  readonly #uptime: () => number;
  readonly #tell: (address: string) => void;
  /** By address: when its account of guesses is even again. */
  readonly #evenAt = new Map<string, number>();
  readonly #good = new Map<string, number>();

  /** @param uptime milliseconds that never go back */
  constructor(log: Pick<Logger, 'warn'>, uptime: () => number = () => performance.now()) {
    this.#uptime = uptime;
    const warn = seldom((fields, message) => log.warn(fields, message), LOG_EVERY_MS);
    this.#tell = (address) =>
      warn('guesses', { address }, 'an address keeps sending wrong keys; its requests are slowed');
  }

  /** Before a secret is looked at that isn't known here. @throws Problem 429 */
  check(address: string): void {
    if (this.#evenAt.size === 0) return;
    const from = neighbourhood(address);
    const now = this.#uptime();
    const wait = (this.#evenAt.get(from) ?? 0) - now - (AT_ONCE - 1) * EVERY_MS;
    if (wait <= 0 || now < (this.#good.get(address) ?? Number.NEGATIVE_INFINITY) + GOOD_MS) return;
    this.#tell(from);
    throw new Problem(429, 'too many wrong keys came from this address: wait before the next', {
      headers: { 'Retry-After': String(Math.ceil(wait / 1000)) },
    });
  }

  /** A secret was wrong. */
  failed(address: string): void {
    const from = neighbourhood(address);
    const now = this.#uptime();
    const evenAt = Math.max(this.#evenAt.get(from) ?? 0, now) + EVERY_MS;
    this.#evenAt.delete(from);
    this.#evenAt.set(from, evenAt);
    drop(this.#evenAt);
  }

  /** A secret was good. */
  succeeded(address: string): void {
    const now = this.#uptime();
    if (now < (this.#good.get(address) ?? Number.NEGATIVE_INFINITY) + NOTED_MS) return;
    this.#good.delete(address);
    this.#good.set(address, now);
    drop(this.#good);
  }
}

function drop(map: Map<string, number>): void {
  if (map.size > CAPACITY) map.delete(map.keys().next().value!);
}
