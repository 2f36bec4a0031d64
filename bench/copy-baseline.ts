import type pg from 'pg';
import { copyIn } from './copy.ts';
import { makeEvents } from './events.ts';
import { connected } from './postgres.ts';
import { textRows } from './ways/text.ts';

const COLUMNS = 'event_id, occurred_at, source_id, severity, event_type, payload, received_at';

/**
 * The baseline of all measurements: COPY of prepared rows, in one connection and one transaction, into a
 * table with the columns, defaults, indexes and partitions of `events`. The table is emptied before each run.
 */
export class CopyBaseline {
  readonly #client: pg.Client;
  readonly #rows: Buffer;
  readonly #count: number;

  private constructor(client: pg.Client, rows: Buffer, count: number) {
    this.#client = client;
    this.#rows = rows;
    this.#count = count;
  }

  /** Creates the table, in a schema of its own, and the rows. */
  static async prepare(url: string, count: number): Promise<CopyBaseline> {
    const client = await connected(url);
    await client.query(`
      create schema bench;
      create table bench.events (like public.events including all) partition by range (occurred_at);
      do $$ declare part record; begin
        for part in select c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bound
          from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'public.events'::regclass
        loop execute format('create table bench.%I partition of bench.events %s', part.name, part.bound); end loop;
      end $$`);
    const now = Date.now();
    return new CopyBaseline(client, textRows(makeEvents(count, now), now), count);
  }

  /** Measures the rate of COPY now, in rows per second. */
  async rate(): Promise<number> {
    await this.#client.query('truncate bench.events');
    const since = performance.now();
    await copyIn(this.#client, `copy bench.events (${COLUMNS}) from stdin`, this.#rows);
    return (this.#count * 1000) / (performance.now() - since);
  }

  async close(): Promise<void> {
    await this.#client.query('drop schema bench cascade');
    await this.#client.end();
  }
}
