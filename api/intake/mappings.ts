import type { Orm } from '../../db/orm.ts';
import { findMapping } from '../../db/queries/mappings/rows.ts';
import { BUILT_IN } from '../../domain/events/mapping.ts';
import { mapper } from '../../ingest/formats/mapped-json.ts';

type Mapper = ReturnType<typeof mapper>;

/**
 * How long this process may use a mapping without checking whether another process changed it, in
 * milliseconds.
 */
const KNOWN_FOR_MS = 5_000;

/** How many mappings are cached. */
const MOST_KNOWN = 1000;

/** Caches mappings by name, ready to use, so that requests do not query PostgreSQL. */
export class Mappings {
  readonly #orm: Orm;
  readonly #clock: () => number;
  readonly #builtIn = new Map(Object.entries(BUILT_IN).map(([name, given]) => [name, mapper(given)]));
  readonly #known = new Map<string, { map: Mapper; until: number }>();

  constructor({ orm, clock }: { orm: Orm; clock: () => number }) {
    this.#orm = orm;
    this.#clock = clock;
  }

  /** Finds a mapping; null if there is none of that name. */
  async find(name: string): Promise<Mapper | null> {
    const builtIn = this.#builtIn.get(name);
    if (builtIn) return builtIn;
    const known = this.#known.get(name);
    if (known && known.until > this.#clock()) return known.map;
    const row = await findMapping(this.#orm, name);
    this.#known.delete(name);
    if (!row) return null;
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    const map = mapper(row.definition);
    this.#known.set(name, { map, until: this.#clock() + KNOWN_FOR_MS });
    return map;
  }

  /** Drops a mapping from the cache, after this process changed or removed it. */
  forget(name: string): void {
    this.#known.delete(name);
  }
}
