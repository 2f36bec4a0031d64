import { type Idempotency, type ItemResult, storeBatch } from '../ingest/batch.ts';
import type { Mapped } from '../ingest/formats/mapped.ts';
import type { Ingest } from '../ingest/outcome.ts';
import type { Access, Principal } from './access.ts';
import { noteItems } from './rejections/attempt.ts';

/** The one way that events take from requests of whatever format into the buffer. */
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
   * Stores what a request brings; resolves after the commit, with a result per item.
   * @param items what its format made of them; those that it could make nothing of count as well
   * @throws BufferFull, StoreUnavailable, Problem 429
   */
  async store(
    principal: Principal,
    items: readonly Mapped[],
    idempotency: Idempotency | null = null,
  ): Promise<ItemResult[]> {
    await this.#access.spend(principal, items.length);
    const limits = { now: this.#clock(), retentionMs: this.#retentionMs };
    const results = await storeBatch(this.#ingest, items, limits, idempotency);
    noteItems(items, results);
    return results;
  }
}
