import type { Logger } from 'pino';
import { neighbourhood } from '../http/address.ts';
import { seldom } from '../http/log-seldom.ts';
import { Problem } from '../http/problem.ts';

/** How many wrong secrets an address may send at once, and how often one more after that. */
const AT_ONCE = 20;
const EVERY_MS = 2000;

/** How long an address stays exempt after it sent a valid secret, in milliseconds. */
const GOOD_MS = 600_000;

/** How old the note of a valid secret may be before a request renews it, so that not every request writes. */
const NOTED_MS = 60_000;

/** How many addresses are remembered, of each of the two kinds. The oldest are forgotten first. */
const CAPACITY = 10_000;

/** How often guessing is logged at most, in milliseconds. */
const LOG_EVERY_MS = 60_000;

/**
 * Slows down clients that guess secrets. After twenty wrong secrets, an address may try one every two
 * seconds; what it tries in between is refused unchecked. Two exceptions keep other people behind the same
 * address working: secrets that this process knows are never slowed, and neither is an address that lately
 * sent a valid secret.
 */
export class Guesses {
  readonly #uptime: () => number;
  readonly #tell: (address: string) => void;
  /** For each address, the time at which it may again send as many wrong secrets as a new address. */
  readonly #evenAt = new Map<string, number>();
  readonly #good = new Map<string, number>();

  /** @param uptime a clock in milliseconds that never goes back */
  constructor(log: Pick<Logger, 'warn'>, uptime: () => number = () => performance.now()) {
    this.#uptime = uptime;
    const warn = seldom((fields, message) => log.warn(fields, message), LOG_EVERY_MS);
    this.#tell = (address) =>
      warn('guesses', { address }, 'an address keeps sending wrong keys; its requests are slowed');
  }

  /** Checks that an address may try a secret that this process does not know. @throws Problem 429 */
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

  /** Notes that an address sent a wrong secret. */
  failed(address: string): void {
    const from = neighbourhood(address);
    const now = this.#uptime();
    const evenAt = Math.max(this.#evenAt.get(from) ?? 0, now) + EVERY_MS;
    this.#evenAt.delete(from);
    this.#evenAt.set(from, evenAt);
    drop(this.#evenAt);
  }

  /** Notes that an address sent a valid secret. */
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
