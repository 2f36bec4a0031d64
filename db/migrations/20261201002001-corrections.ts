import { Migration } from '@mikro-orm/migrations';

/**
 * Columns for corrections: late events can show that an incident was shorter, or several incidents, or none.
 */
export class Corrections extends Migration {
  override up(): void {
    this.addSql(`alter table alert_incidents add column withdrawn_at timestamptz(3) null,
      add column corrections int not null default 0`);
  }
}
