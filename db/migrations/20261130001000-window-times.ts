import { Migration } from '@mikro-orm/migrations';

/**
 * Exact times of counted events. With them, judging reads the times of one group instead of every event of
 * the bucket.
 *
 * The latest times are beside the count (`times`), the others in rows of `window_times`; `moved` says how
 * many those have. Counts from before this migration have null in `times`. They never get any, because their
 * first times are missing.
 */
export class WindowTimes extends Migration {
  override up(): void {
    this.addSql('alter table window_counts add column moved integer not null default 0');
    this.addSql('alter table window_counts add column times bytea null');
    this.addSql(`create table window_times (
      rule_id uuid not null,
      revision integer not null,
      group_key text not null,
      bucket bigint not null,
      first integer not null,
      last integer not null,
      times bytea not null
    ) partition by range (bucket)`);
    this.addSql(
      `create index window_times_first on window_times (rule_id, revision, group_key, bucket, first)`,
    );
  }
}
