import { Migration } from '@mikro-orm/migrations';

/**
 * Finds one folded alert that goes on without a look at the others. A refresh changes none of what is indexed: it is still written
 * in place.
 */
export class FoldedAlerts extends Migration {
  override up(): void {
    this.addSql(
      `create index received_alerts_folded on received_alerts (rule_id, starts_at) where group_key = '*' and ends <> 'resolved'`,
    );
  }
}
