import { type Idempotency, type ItemResult, storeBatch } from '../../ingest/append/batch.ts';
import type { Converted } from '../../ingest/formats/converted.ts';
import type { Ingest } from '../../ingest/outcome.ts';
import type { Access, Principal } from '../auth/access.ts';
import { noteItems } from './rejections/attempt.ts';

/** Passes events from requests of every format to the buffer. No other code of the API does. */
export class Intake {
  readonly #ingest: Ingest;
  readonly #access: Access;
  readonly #clock: () => number;
  readonly #retentionMs: number;

  constructor(deps: {
    ingest: Ingest;
    access: Access;
    clock: () => number;
    settings: { retentionMs: number };
  }) {
    this.#ingest = deps.ingest;
    this.#access = deps.access;
    this.#clock = deps.clock;
    this.#retentionMs = deps.settings.retentionMs;
  }

  /**
   * Stores the items of a request. It resolves after the commit, with a result for each item.
   * @param items what the format made of the request, including items that are invalid
   * @throws BufferFull, StoreUnavailable, Problem 429
   */
  async store(
    principal: Principal,
    items: readonly Converted[],
    idempotency: Idempotency | null = null,
  ): Promise<ItemResult[]> {
    await this.#access.spend(principal, items.length);
    const limits = { now: this.#clock(), retentionMs: this.#retentionMs };
    const { sources } = principal;
    const results =
      sources === null
        ? await storeBatch(this.#ingest, items, limits, idempotency)
        : await this.#storeOf(sources, items, limits, idempotency);
    noteItems(items, results);
    return results;
  }

  /** Stores the items for sources that the key may send for, and refuses each of the others. */
  async #storeOf(
    sources: readonly string[],
    items: readonly Converted[],
    limits: { now: number; retentionMs: number },
    idempotency: Idempotency | null,
  ): Promise<ItemResult[]> {
    const results: ItemResult[] = items.map(() => forbidden);
    const own = [...items.keys()].filter((index) => {
      const item = items[index]!;
      if (!maySend(sources, item)) return false;
      if (!choosesDerivable(item)) return true;
      results[index] = notChosen;
      return false;
    });
    if (own.length === 0) return results;
    const places = idempotency && { ...idempotency, places: own.map((i) => idempotency.places?.[i] ?? i) };
    const stored = await storeBatch(
      this.#ingest,
      own.map((index) => items[index]!),
      limits,
      places,
    );
    for (const [i, result] of stored.entries()) results[own[i]!] = result;
    return results;
  }
}

const forbidden: ItemResult = {
  status: 'invalid',
  errors: [{ field: 'source_id', reason: 'is not a source that the key may send for' }],
  forbidden: true,
};

const notChosen: ItemResult = {
  status: 'invalid',
  errors: [
    {
      field: 'event_id',
      reason:
        'must not be a UUID of version 5: formats make such ids from sources, and this key is bound to sources',
    },
  ],
};

/**
 * Says whether the sender chose an event id of the kind that formats derive from a source. Anybody can
 * compute these ids. If somebody sent such an id first, under another source, the event that it belongs to
 * would count as a duplicate.
 */
function choosesDerivable(item: Converted): boolean {
  if ('invalid' in item || item.derived) return false;
  const { event_id } = (item.event ?? {}) as { event_id?: unknown };
  return typeof event_id === 'string' && event_id[14] === '5';
}

/** Says whether the key may send the item. Items without a source pass; validation refuses them. */
function maySend(sources: readonly string[], item: Converted): boolean {
  if ('invalid' in item) return true;
  const { source_id } = (item.event ?? {}) as { source_id?: unknown };
  return typeof source_id !== 'string' || sources.includes(source_id);
}
