import { Migration } from '@mikro-orm/migrations';

/**
 * What an appending process reads after a change: the rules that changed, and nothing of the others.
 *
 * `groups_from` says by which fields a group's key was made: it is the revision that brought the present `group_by`. Groups
 * of an earlier one don't count towards the cap, so that nothing has to be deleted while appends wait.
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
    // Idle groups of the rule are being let go of: no appending process may remember which groups there are.
    this.addSql('alter table rule_versions add column forgetting boolean not null default false');
  }
}
