import { Migration } from '@mikro-orm/migrations';

/**
 * Adds whether a group's standing was taken over from an earlier revision. For groups judged before this
 * column existed that is unknown; they count as taken over, once.
 */
export class UnprovenStandings extends Migration {
  override up(): void {
    this.addSql('alter table rule_groups add column unproven boolean not null default true');
    this.addSql('alter table rule_groups alter column unproven set default false');
  }
}
