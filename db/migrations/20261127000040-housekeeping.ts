import { Migration } from '@mikro-orm/migrations';

/** The last round of each step of housekeeping. */
export class Housekeeping extends Migration {
  override up(): void {
    this.addSql(`create table housekeeping (
      step text primary key,
      started_at timestamptz(3) not null,
      ended_at timestamptz(3) not null,
      succeeded_at timestamptz(3) null,
      error text null,
      found jsonb not null)`);
  }
}
