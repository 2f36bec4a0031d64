import { Migration } from '@mikro-orm/migrations';

/**
 * Where a group's first deferred episode began, epoch ms: it lies before the open incident, and its end is not certain yet, so no
 * incident has it. Judging goes back to there. Both are null where nothing is deferred: no row is written by this.
 */
export class DeferredEpisodes extends Migration {
  override up(): void {
    this.addSql('alter table rule_groups add column deferred_from bigint, add column deferred_late boolean');
  }
}
