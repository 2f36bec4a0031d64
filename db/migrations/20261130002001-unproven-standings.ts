import { Migration } from '@mikro-orm/migrations';

/**
 * Whether a group's standing was taken over from an earlier revision. What was judged before this column existed does not say
 * it: those groups count as taken over, once.
 */
export class UnprovenStandings extends Migration {
  override up(): void {
    this.addSql('alter table rule_groups add column unproven boolean not null default true');
    this.addSql('alter table rule_groups alter column unproven set default false');
  }
}
