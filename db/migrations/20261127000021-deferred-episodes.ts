import { Migration } from '@mikro-orm/migrations';

/**
 * Adds the time at which a group's first deferred episode began, epoch ms. That episode lies before the open
 * incident, and its end is not certain, so it is no incident yet. Judging goes back to there. Both columns
 * are null if nothing is deferred, so no existing row is written.
 */
export class DeferredEpisodes extends Migration {
  override up(): void {
    this.addSql('alter table rule_groups add column deferred_from bigint, add column deferred_late boolean');
  }
}
