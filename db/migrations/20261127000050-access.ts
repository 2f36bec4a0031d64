import { Migration } from '@mikro-orm/migrations';

/** Keys that may send for some sources only, unique names of keys, and the senders of a received alert. */
export class AccessMigration extends Migration {
  override up(): void {
    // Null for any source.
    this.addSql('alter table "api_keys" add column "sources" jsonb null');

    // If several valid keys have the same name, the oldest keeps it. The names of the bootstrap key and of
    // senders without a key are reserved.
    this.addSql(`update "api_keys" k set "name" = left(k."name", 60) || ' (' || left(k."id"::text, 8) || ')'
      where k."revoked_at" is null and not k."bootstrap" and (
        lower(k."name") in ('bootstrap', 'anyone', 'api', 'ingest token', 'unknown', 'configuration')
        or exists (
          select from "api_keys" o where lower(o."name") = lower(k."name") and o."revoked_at" is null
            and (o."created_at", o."id") < (k."created_at", k."id")))`);
    this.addSql(
      'create unique index "api_keys_name_unique" on "api_keys" (lower("name")) where "revoked_at" is null',
    );

    // For each sender of the alert, until when that sender reports it. No sender can end an alert that
    // another one still reports.
    this.addSql(`alter table received_alerts add column senders jsonb not null default '{}'`);
    this.addSql(`alter table past_received_alerts add column senders jsonb not null default '{}'`);
  }
}
