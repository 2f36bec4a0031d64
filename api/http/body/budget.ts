import type { IncomingMessage } from 'node:http';
import { BUDGETS } from '../limits.ts';
import { BudgetSpent } from '../problem.ts';

/** Whose bytes they are: a request under way. */
export interface Holder {
  readonly request: IncomingMessage;
  /** The key that sends it, or another name of the sender if it has none. */
  readonly owner: string;
  /** Ends it, if it still waits for its sender. False once all of it has come. */
  evict(): boolean;
}

/**
 * What requests under way may hold of their bodies, so that memory stays within it however many senders push
 * at once.
 */
export interface Budget {
  /**
   * Whether a body has to come whole within the patience that any has for one pause: those of whom nothing is
   * known yet.
   */
  readonly brief: boolean;
  /** @throws BudgetSpent when it would be overdrawn; a single body always fits into an empty budget */
  take(bytes: number, holder: Holder): void;
  give(bytes: number, holder: Holder): void;
}

/**
 * The budget of senders with a key. Whoever finds it used up must come back later. The exception: if another
 * key holds more than its share, that key's body that has been waited for longest is given up. So no key can
 * keep out others by sending slowly. A share is the budget divided by the number of keys that hold some of
 * it.
 */
export class KeyedBudget implements Budget {
  readonly brief = false;
  readonly #limit: number;
  /** In the order in which they began. */
  readonly #holders = new Map<Holder, number>();
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  take(bytes: number, holder: Holder): void {
    while (this.#held > 0 && this.#held + bytes > this.#limit) {
      if (!this.#giveUpOne(holder.owner, bytes)) throw new BudgetSpent();
    }
    this.#holders.set(holder, (this.#holders.get(holder) ?? 0) + bytes);
    this.#held += bytes;
  }

  give(bytes: number, holder: Holder): void {
    const own = this.#holders.get(holder);
    // A body that was given up has given its bytes back already.
    if (own === undefined) return;
    this.#held -= Math.min(own, bytes);
    if (own > bytes) this.#holders.set(holder, own - bytes);
    else this.#holders.delete(holder);
  }

  #giveUpOne(newcomer: string, bytes: number): boolean {
    const byOwner = new Map([[newcomer, bytes]]);
    for (const [{ owner }, held] of this.#holders) byOwner.set(owner, (byOwner.get(owner) ?? 0) + held);
    const share = this.#limit / byOwner.size;
    if (byOwner.get(newcomer)! > share) return false;
    for (const [holder, held] of this.#holders) {
      if (holder.owner === newcomer || byOwner.get(holder.owner)! <= share || !holder.evict()) continue;
      this.#holders.delete(holder);
      this.#held -= held;
      return true;
    }
    return false;
  }
}

/**
 * For those whose key is in the body, or who have none. Whoever only holds must not keep out who has a key: a
 * newcomer is let in, and the body that has been waited for longest is given up, of the address that holds
 * most.
 */
export class StrangersBudget implements Budget {
  readonly brief = true;
  readonly #limit: number;
  readonly #addressOf: (request: IncomingMessage) => string;
  /** In the order in which they began. */
  readonly #holders = new Map<Holder, { bytes: number; address: string }>();
  #held = 0;

  constructor(limit: number, addressOf: (request: IncomingMessage) => string) {
    this.#limit = limit;
    this.#addressOf = addressOf;
  }

  take(bytes: number, holder: Holder): void {
    let own = this.#holders.get(holder);
    if (!own) {
      own = { bytes: 0, address: this.#addressOf(holder.request) };
      this.#holders.set(holder, own);
    }
    while (this.#held > 0 && this.#held + bytes > this.#limit) {
      const given = this.#giveUpOne(holder);
      if (!given) throw new BudgetSpent();
    }
    own.bytes += bytes;
    this.#held += bytes;
  }

  give(bytes: number, holder: Holder): void {
    const own = this.#holders.get(holder);
    // One that was given up has given back what it held then.
    if (!own) return;
    const given = Math.min(own.bytes, bytes);
    own.bytes -= given;
    this.#held -= given;
    if (own.bytes <= 0) this.#holders.delete(holder);
  }

  #giveUpOne(newcomer: Holder): boolean {
    const byAddress = new Map<string, number>();
    for (const { bytes, address } of this.#holders.values()) {
      byAddress.set(address, (byAddress.get(address) ?? 0) + bytes);
    }
    const addresses = [...byAddress].sort(([, a], [, b]) => b - a).map(([address]) => address);
    for (const greedy of addresses) {
      for (const [holder, { bytes, address }] of this.#holders) {
        if (address !== greedy || holder === newcomer || !holder.evict()) continue;
        this.#holders.delete(holder);
        this.#held -= bytes;
        return true;
      }
    }
    return false;
  }
}

/**
 * One a process, each apart from the others: what is sent as events can't keep out alerts, nor either of them
 * who operates.
 */
export function bodyBudgets(addressOf: (request: IncomingMessage) => string) {
  return {
    events: new KeyedBudget(BUDGETS.events),
    alerts: new KeyedBudget(BUDGETS.alerts),
    control: new KeyedBudget(BUDGETS.control),
    strangers: new StrangersBudget(BUDGETS.strangers, addressOf),
  };
}

export type BodyBudgets = ReturnType<typeof bodyBudgets>;
