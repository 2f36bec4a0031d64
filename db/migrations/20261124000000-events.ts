import { Migration } from '@mikro-orm/migrations';

/**
 * The tables of the data plane. They are raw SQL, because the ORM's schema diff would rebuild partitioned
 * tables. Event times are epoch milliseconds, except on `events`, which people query by hand.
 */
export class Events extends Migration {
  override up(): void {
    // `xid` is the transaction that stored the event. A backfill needs it to know whether the event was
    // visible when its rule changed.
    this.addSql(`create table events (
      event_id uuid not null,
      occurred_at timestamptz(3) not null,
      source_id varchar(100) not null,
      severity varchar(32) not null,
      event_type varchar(64) not null,
      payload jsonb not null,
      received_at timestamptz(3) not null,
      xid xid8 not null default pg_current_xact_id(),
      primary key (event_id, occurred_at)
    ) partition by range (occurred_at)`);
    this.addSql('create index events_occurred_at on events (occurred_at desc, event_id desc)');
    this.addSql('create index events_source_id on events (source_id, occurred_at desc)');
    this.addSql('create index events_event_type on events (event_type, occurred_at)');

    // An event with an id but without a time gets its time here, so that concurrent retries agree on it.
    this.addSql('create table event_ids (event_id uuid primary key, occurred_at bigint not null)');
    this.addSql('create index event_ids_occurred_at on event_ids (occurred_at)');

    this.addSql(`create table event_rollups (
      minute bigint not null,
      severity varchar(32) not null,
      event_type varchar(64) not null,
      slot smallint not null,
      n bigint not null,
      primary key (minute, severity, event_type, slot)
    ) with (fillfactor = 50)`);

    this.addSql(`create table window_counts (
      rule_id uuid not null,
      revision integer not null,
      group_key text not null,
      bucket bigint not null,
      slot smallint not null,
      n integer not null,
      primary key (rule_id, revision, group_key, bucket, slot)
    ) partition by range (bucket)`);

    this.addSql(`create table rule_groups (
      rule_id uuid not null,
      group_key text not null,
      state varchar(8) not null default 'ok',
      since bigint,
      next_due bigint,
      primary key (rule_id, group_key)
    ) with (fillfactor = 70)`);
    this.addSql('create index rule_groups_next_due on rule_groups (next_due) where next_due is not null');

    this.addSql(`create table rule_overflow (
      rule_id uuid not null,
      slot smallint not null,
      events bigint not null,
      primary key (rule_id, slot)
    )`);

    this.addSql('create table rule_set (version bigint not null)');
    this.addSql('insert into rule_set values (1)');

    this.addSql(`create table wake_outbox (
      id bigint generated always as identity primary key,
      created_at timestamptz not null default now(),
      touched jsonb not null
    )`);

    // `generation` increases with each wake. A judge deletes the row only if it has not changed since it was
    // read.
    this.addSql(`create table pending_evaluations (
      rule_id uuid not null,
      revision integer not null,
      group_key text not null,
      late boolean not null,
      from_at bigint not null,
      to_at bigint not null,
      generation bigint not null default 0,
      signalled_at timestamptz not null default now(),
      primary key (rule_id, revision, group_key, late)
    )`);

    this.addSql('create table watermark (value bigint not null, computed_at bigint not null)');
    this.addSql('insert into watermark values (0, 0)');
  }
}
