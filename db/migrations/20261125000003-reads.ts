import { Migration } from '@mikro-orm/migrations';

/**
 * Tables and indexes for fast reading: counts summed by hour, and an index for every filter of an event list.
 * docs/adr/0010 has the costs for an append.
 */
export class Reads extends Migration {
  override up(): void {
    // One table, so that one statement folds into all levels. Each level has its own partition, so that its
    // ranges are stored together. Columns that a level does not distinguish are ''.
    this.addSql(`create table event_totals (
      level smallint not null,
      at bigint not null,
      severity varchar(32) not null,
      event_type varchar(64) not null,
      n bigint not null,
      primary key (level, at, severity, event_type)
    ) partition by list (level)`);
    for (const [level, name] of [
      'minute',
      'minute_severity',
      'hour_severity',
      'hour_severity_type',
    ].entries()) {
      this.addSql(
        `create table event_totals_${name} partition of event_totals for values in (${level}) with (fillfactor = 70)`,
      );
    }
    // A list by severity and type first finds the hours that have such events.
    this.addSql(
      'create index event_totals_of_kind on event_totals_hour_severity_type (severity, event_type, at) where n > 0',
    );

    // The indexes have the order of the list, so that a page reads only what it shows. The included columns
    // allow several filters without reading the events.
    this.addSql('create index events_severity on events (severity, occurred_at desc, event_id desc)');
    this.addSql('drop index events_source_id');
    this.addSql(
      'create index events_source_id on events (source_id, occurred_at desc, event_id desc) include (severity, event_type)',
    );
    this.addSql('drop index events_event_type');
    this.addSql(
      'create index events_event_type on events (event_type, occurred_at desc, event_id desc) include (severity)',
    );
    // The event stream reads what was committed since its last look. All events of an append share an index
    // entry, which costs 7 bytes per event.
    this.addSql('create index events_xid on events (xid)');
  }
}
