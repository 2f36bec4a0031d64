import { Migration } from '@mikro-orm/migrations';

/** Mappings for the records of log shippers. */
export class Mappings extends Migration {
  override up(): void {
    this.addSql(
      `create table "mappings" ("name" varchar(64) not null, "definition" jsonb not null, "created_at" timestamptz(3) not null, "updated_at" timestamptz(3) not null, primary key ("name"))`,
    );
  }
}
