import type { IncomingMessage } from 'node:http';
import { BUDGETS } from '../limits.ts';
import { BudgetSpent } from '../problem.ts';

/** A request that holds bytes of the budget. */
export interface Holder {
  readonly request: IncomingMessage;
  /** The key that sends the request, or another name of the sender if it has none. */
  readonly owner: string;
  /** Aborts the request if its body has not fully arrived. Returns false if it has. */
  evict(): boolean;
}

/**
 * Limits the bytes of bodies that open requests hold together, so that memory stays bounded however many
 * senders there are.
 */
export interface Budget {
  /**
   * True if the whole body must arrive within the time that others have for one pause. That applies to
   * senders without a known key.
   */
  readonly brief: boolean;
  /**
   * Counts bytes of a holder. A single body always fits into an empty budget.
   * @throws BudgetSpent if the budget has no room
   */
  take(bytes: number, holder: Holder): void;
  give(bytes: number, holder: Holder): void;
}

/**
 * The budget of senders with a key. If it is used up, the request is refused. There is one exception: if
 * another key holds more than its share, the body of that key which has waited longest is aborted instead. So
 * no key can keep out others by sending slowly. A share is the budget divided by the number of keys that hold
 * some of it.
 */
export class KeyedBudget implements Budget {
  readonly brief = false;
  readonly #limit: number;
  /** Requests and their bytes, in the order in which they began. */
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
    // A body that was aborted has given its bytes back already.
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
 * The budget of senders whose key is in the body, or who have none. Somebody without a key must not keep out
 * others by holding bytes. So a new request is always let in. To make room, the address that holds most loses
 * the body that has waited longest.
 */
export class StrangersBudget implements Budget {
  readonly brief = true;
  readonly #limit: number;
  readonly #addressOf: (request: IncomingMessage) => string;
  /** Requests and their bytes, in the order in which they began. */
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
    // A body that was aborted has given its bytes back already.
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
 * Makes the budgets of a process. They are separate, so that events cannot keep out alerts, and neither can
 * keep out people who operate Tocsin.
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
