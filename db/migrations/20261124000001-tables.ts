import { Migration } from '@mikro-orm/migrations';

/** The tables of the control plane, as the entities describe them. */
export class Tables extends Migration {
  override up(): void {
    this.addSql(
      `create table "alert_rules" ("id" uuid not null, "name" varchar(200) not null, "enabled" boolean not null, "definition" jsonb not null, "late" varchar(16) not null, "incident_severity" varchar(32) null, "labels" jsonb not null, "annotations" jsonb not null, "sample" boolean not null default false, "revision" int not null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, "deleted_at" timestamptz(3) null, primary key ("id"))`,
    );
    this.addSql(
      `create table "dead_letters" ("id" uuid not null, "source_id" varchar(100) not null, "kind" varchar(8) not null, "state" varchar(16) not null, "failure" varchar(32) not null, "reason" text not null, "field" varchar(200) null, "content" jsonb not null, "event_count" int not null, "attempts" int not null default 0, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, primary key ("id"))`,
    );
    this.addSql(`create index "dead_letters_created_at_index" on "dead_letters" ("created_at", "id")`);
    this.addSql(`create index "dead_letters_source_id_index" on "dead_letters" ("source_id", "state")`);
    this.addSql(
      `create table "deliveries" ("id" uuid not null, "notice_id" uuid not null, "incident_id" uuid not null, "channel" varchar(64) not null, "attempt" int not null, "at" timestamptz(3) not null, "outcome" varchar(16) not null, "duration_ms" int not null, "detail" text not null, primary key ("id"))`,
    );
    this.addSql(`create index "deliveries_incident_id_index" on "deliveries" ("incident_id")`);
    this.addSql(
      `alter table "deliveries" add constraint "deliveries_attempt_unique" unique ("notice_id", "channel", "attempt")`,
    );
    this.addSql(
      `create table "alert_incidents" ("id" uuid not null, "rule_id" uuid not null, "group_key" text not null, "episode" int not null, "revision" int not null, "rule_name" varchar(200) not null, "summary" text not null, "severity" varchar(32) not null, "state" varchar(16) not null, "late" boolean not null default false, "since" timestamptz(3) not null, "opened_at" timestamptz(3) not null, "ended_at" timestamptz(3) null, "recorded_at" timestamptz(3) not null, "acknowledged_at" timestamptz(3) null, "acknowledged_by" varchar(200) null, "resolved_at" timestamptz(3) null, "resolved_by" varchar(200) null, "resolve_reason" varchar(32) null, "merged_into" uuid null, "reopened" int not null default 0, "group_labels" jsonb not null, "labels" jsonb not null, "annotations" jsonb not null, "metadata" jsonb not null, primary key ("id"))`,
    );
    this.addSql(`create index "alert_incidents_opened_at_index" on "alert_incidents" ("opened_at", "id")`);
    this.addSql(
      `create unique index alert_incidents_one_open_per_group on alert_incidents (rule_id, group_key) where state <> 'resolved'`,
    );
    this.addSql(
      `alter table "alert_incidents" add constraint "alert_incidents_episode_unique" unique ("rule_id", "group_key", "episode")`,
    );
    this.addSql(
      `create table "notices" ("id" uuid not null, "incident_id" uuid not null, "kind" varchar(16) not null, "at" timestamptz(3) not null, "done" boolean not null default false, primary key ("id"))`,
    );
    this.addSql(`create index "notices_incident_id_index" on "notices" ("incident_id")`);
    this.addSql(`create index notices_due on notices (at) where not done`);
    this.addSql(
      `create table "processes" ("id" uuid not null, "role" varchar(32) not null, "started_at" timestamptz(3) not null, "beat_at" timestamptz(3) not null, "ingests" boolean not null, "oldest_unappended" timestamptz(3) null, "held_at" timestamptz(3) null, "held_until" timestamptz(3) null, "in_flight" int not null default 0, "buffered" int not null default 0, primary key ("id"))`,
    );
    this.addSql(
      `create table "producers" ("id" varchar(100) not null, "settings" jsonb not null, "paused" boolean not null default false, "sample" boolean not null default false, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, "appended_through" timestamptz(3) null, "appended" bigint not null default '0', primary key ("id"))`,
    );
    this.addSql(
      `create table "rule_versions" ("rule_id" uuid not null, "revision" int not null, "definition" jsonb not null, "enabled" boolean not null, "effective_at" timestamptz(3) not null, "snapshot" text not null, "counted_from" timestamptz(3) not null, "window_ms" double precision not null, "bucket_ms" double precision not null, "threshold" int not null, "ready" boolean not null default false, "superseded_at" timestamptz(3) null, "settled" boolean not null default false, primary key ("rule_id", "revision"))`,
    );
    this.addSql(
      `create table "incident_timeline" ("id" bigserial primary key, "incident_id" uuid not null, "at" timestamptz(3) not null, "kind" varchar(32) not null, "actor" varchar(200) not null, "detail" jsonb not null)`,
    );
    this.addSql(`create index "incident_timeline_incident_id_index" on "incident_timeline" ("incident_id")`);
  }
}
