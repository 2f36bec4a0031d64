import { Migration } from '@mikro-orm/migrations';

/**
 * What reading at scale needs: counts that are summed up by hour, and an index for every filter of an event list. See
 * docs/adr/0010 for what each costs an append.
 */
export class Reads extends Migration {
  override up(): void {
    // One table, so that one statement folds into all levels; a partition each, so that a range of one level lies together. What a
    // level does not tell apart is ''.
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
    // A list by severity and type asks in which hours there are any.
    this.addSql(
      'create index event_totals_of_kind on event_totals_hour_severity_type (severity, event_type, at) where n > 0',
    );

    // In the order of the list, so that a page reads what it shows. What is included decides on several filters at once
    // without reading the event.
    this.addSql('create index events_severity on events (severity, occurred_at desc, event_id desc)');
    this.addSql('drop index events_source_id');
    this.addSql(
      'create index events_source_id on events (source_id, occurred_at desc, event_id desc) include (severity, event_type)',
    );
    this.addSql('drop index events_event_type');
    this.addSql(
      'create index events_event_type on events (event_type, occurred_at desc, event_id desc) include (severity)',
    );
    // A tail reads what was committed since it last looked. All events of an append share an entry: 7 bytes an event.
    this.addSql('create index events_xid on events (xid)');
  }
}
