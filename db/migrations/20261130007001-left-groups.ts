import { Migration } from '@mikro-orm/migrations';

/**
 * Allows a revision to hand over before it is settled, if some of its groups could not be judged. Until then
 * it reads only the events before `until_snapshot`, even if its successor is gone.
 */
export class LeftGroups extends Migration {
  override up(): void {
    this.addSql(`alter table rule_versions add column handed_over boolean not null default false,
      add column until_snapshot text null`);
    this.addSql('alter table pending_evaluations add column failed_since timestamptz');
    this.addSql('update pending_evaluations set failed_since = noted_at where failures > 0');
  }
}
