import { Migration } from '@mikro-orm/migrations';

/**
 * Keys that may send for some sources only, under a name that no other key has; and who holds a received
 * alert.
 */
export class AccessMigration extends Migration {
  override up(): void {
    // Null: for any source.
    this.addSql('alter table "api_keys" add column "sources" jsonb null');

    // Of keys that are in force under one name the oldest keeps it. The name of the first key, and those of
    // nobody's key, are kept free.
    this.addSql(`update "api_keys" k set "name" = left(k."name", 60) || ' (' || left(k."id"::text, 8) || ')'
      where k."revoked_at" is null and not k."bootstrap" and (
        lower(k."name") in ('bootstrap', 'anyone', 'api', 'ingest token', 'unknown', 'configuration')
        or exists (
          select from "api_keys" o where lower(o."name") = lower(k."name") and o."revoked_at" is null
            and (o."created_at", o."id") < (k."created_at", k."id")))`);
    this.addSql(
      'create unique index "api_keys_name_unique" on "api_keys" (lower("name")) where "revoked_at" is null',
    );

    // Until when each of its senders has it: none ends what another one holds.
    this.addSql(`alter table received_alerts add column senders jsonb not null default '{}'`);
    this.addSql(`alter table past_received_alerts add column senders jsonb not null default '{}'`);
  }
}
