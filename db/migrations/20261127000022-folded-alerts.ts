import { Migration } from '@mikro-orm/migrations';

/**
 * Finds one active alert of the overflow group without reading the others. A refresh changes no indexed
 * column, so it still updates the row in place.
 */
export class FoldedAlerts extends Migration {
  override up(): void {
    this.addSql(
      `create index received_alerts_folded on received_alerts (rule_id, starts_at) where group_key = '*' and ends <> 'resolved'`,
    );
  }
}
