import { Migration } from '@mikro-orm/migrations';

/** How far the backfill of a revision has counted, so that an interrupted one continues from there. */
export class BackfillPosition extends Migration {
  override up(): void {
    this.addSql('alter table rule_versions add column counted_to timestamptz(3) null');
    this.addSql('alter table rule_versions add column counted_to_id uuid null');
  }
}
