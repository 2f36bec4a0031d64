import { Migration } from '@mikro-orm/migrations';

/** The latest time that JavaScript can represent, in epoch milliseconds. No event has a later one. */
const LATEST_MS = 8.64e15;

/**
 * Adds to a deaf span the dead letter it belongs to, so that a redrive ends the span of its own letter only.
 * Batches that wait or were discarded get their spans here.
 */
export class DeadLetterSpans extends Migration {
  override up(): void {
    this.addSql('alter table deaf_spans add column letter_id uuid');
    this.addSql('alter table deaf_spans drop constraint deaf_spans_pkey');
    this.addSql(`create unique index deaf_spans_identity
      on deaf_spans (whose, id, reason, from_at, letter_id) nulls not distinct`);
    this.addSql(
      'create unique index deaf_spans_letter on deaf_spans (letter_id) where letter_id is not null',
    );
    const timeOf = (name: string) => `case when jsonb_typeof(content #> '{batch,${name}}') = 'number'
        then (content #>> '{batch,${name}}')::float8 end as ${name}`;
    this.addSql(`
      insert into deaf_spans (whose, id, name, reason, from_at, to_at, letter_id)
      select 'source', source_id, source_id, 'dead_letter', to_timestamp(from_at / 1000), to_timestamp(tick_at / 1000), id
      from (
        select id, source_id, ${timeOf('from_at')}, ${timeOf('tick_at')}
        from dead_letters where kind = 'batch' and state <> 'redriven'
      ) unheard
      where from_at between 0 and tick_at and tick_at <= ${LATEST_MS}`);
  }
}
