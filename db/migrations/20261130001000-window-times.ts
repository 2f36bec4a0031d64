import { Migration } from '@mikro-orm/migrations';

/**
 * Exact times of the events that a count counts, so that judging reads those of one group instead of every event of the
 * bucket.
 *
 * The latest are beside the count (`times`), the others in rows of `window_times`; `moved` says how many those have. A count
 * of before this migration has null in `times`. It never gets any, because its first times are missing.
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
