import { Migration } from '@mikro-orm/migrations';

/**
 * Deaf spans: times in which events were refused, lost or missed. A span is one row, which is extended while
 * it lasts.
 */
export class DeafSpans extends Migration {
  override up(): void {
    this.addSql(`create table deaf_spans (
      whose varchar(8) not null check (whose in ('process', 'source', 'key')),
      id varchar(100) not null,
      name varchar(200) not null,
      reason varchar(32) not null,
      from_at timestamptz(3) not null,
      to_at timestamptz(3) not null,
      held_until timestamptz(3),
      primary key (whose, id, reason, from_at)
    )`);
    this.addSql('create index deaf_spans_to on deaf_spans (to_at)');
    this.addSql('create index deaf_spans_held on deaf_spans (held_until) where held_until is not null');
  }
}
