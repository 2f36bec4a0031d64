import { Migration } from '@mikro-orm/migrations';

/**
 * What was refused over HTTP: counts by hour, and the latest refusals of each key. Rows are written in
 * batches, apart from the requests.
 */
export class RejectionTables extends Migration {
  override up(): void {
    this.addSql(`create table rejection_counts (
      hour timestamptz(3) not null,
      route varchar(100) not null,
      reason varchar(32) not null,
      kind varchar(8) not null,
      n bigint not null,
      primary key (hour, route, reason, kind)
    ) with (fillfactor = 70)`);
    this.addSql(`create table rejections (
      id bigint generated always as identity primary key,
      at timestamptz(3) not null,
      key varchar(64) not null,
      key_name varchar(200) not null,
      route varchar(100) not null,
      kind varchar(8) not null,
      status smallint not null,
      reason varchar(32) not null,
      field varchar(200) not null,
      detail varchar(500) not null,
      item text
    )`);
    this.addSql('create index rejections_key on rejections (key, id)');
    this.addSql('create index rejections_at on rejections (at)');
  }
}
