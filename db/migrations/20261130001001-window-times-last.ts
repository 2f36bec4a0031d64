import { Migration } from '@mikro-orm/migrations';

/** The last times of a bucket are read from the end, the first ones from the beginning. */
export class WindowTimesLast extends Migration {
  override up(): void {
    this.addSql(
      'create index window_times_last on window_times (rule_id, revision, group_key, bucket, last)',
    );
  }
}
