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
  }
}
