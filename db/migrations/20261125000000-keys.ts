import { Migration } from '@mikro-orm/migrations';

/** Keys, browser sessions, and the audit log. */
export class Keys extends Migration {
  override up(): void {
    this.addSql(
      `create table "api_keys" ("id" uuid not null, "name" varchar(100) not null, "hash" varchar(64) not null, "prefix" varchar(8) not null, "roles" jsonb not null, "rate_limit" int null, "bootstrap" boolean not null default false, "created_at" timestamptz(3) not null, "created_by" varchar(100) not null, "expires_at" timestamptz(3) null, "last_used_at" timestamptz(3) null, "revoked_at" timestamptz(3) null, primary key ("id"))`,
    );
    this.addSql(`alter table "api_keys" add constraint "api_keys_hash_unique" unique ("hash")`);
    this.addSql(`create index "api_keys_created_at_index" on "api_keys" ("created_at", "id")`);
    this.addSql(
      `create table "sessions" ("hash" varchar(64) not null, "key_id" uuid not null, "created_at" timestamptz(3) not null, "expires_at" timestamptz(3) not null, primary key ("hash"))`,
    );
    this.addSql(`create index "sessions_key_id_index" on "sessions" ("key_id")`);
    this.addSql(
      `create table "audit_log" ("id" uuid not null, "at" timestamptz(3) not null, "principal_id" uuid null, "principal" varchar(100) not null, "address" varchar(64) null, "action" varchar(200) not null, "target" text not null, "detail" jsonb not null, "status" smallint null, primary key ("id"))`,
    );
    this.addSql(`create index "audit_log_at_index" on "audit_log" ("at", "id")`);
    this.addSql(`create index "audit_log_principal_id_index" on "audit_log" ("principal_id", "at", "id")`);
  }

  override down(): void {
    for (const table of ['audit_log', 'sessions', 'api_keys']) this.addSql(`drop table "${table}"`);
  }
}
