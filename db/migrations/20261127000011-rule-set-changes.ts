import { Migration } from '@mikro-orm/migrations';

/**
 * Records which rules changed, so that appending processes read only those.
 *
 * `groups_from` is the revision that introduced the current `group_by`. Groups of earlier revisions do not
 * count towards the limit, so nothing must be deleted while appends wait.
 */
export class RuleSetChanges extends Migration {
  override up(): void {
    this.addSql(`create table rule_changes (
      version bigint primary key,
      rule_id uuid not null,
      at timestamptz not null default now()
    )`);
    this.addSql('alter table rule_groups add column groups_from int not null default 0');
    this.addSql('alter table rule_versions add column groups_from int not null default 0');
    // True while housekeeping removes idle groups of the rule. Appending processes must then not cache which
    // groups are admitted.
    this.addSql('alter table rule_versions add column forgetting boolean not null default false');
  }
}
