import { Migration } from '@mikro-orm/migrations';

/**
 * Sources whose sample producers were removed. Their late batches are no longer stored. `emptied`: their
 * events are removed too.
 */
export class RemovedSamples extends Migration {
  override up(): void {
    this.addSql(`create table removed_samples (
      source_id text primary key,
      emptied boolean not null default false
    )`);
  }
}
