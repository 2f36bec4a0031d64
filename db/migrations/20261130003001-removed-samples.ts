import { Migration } from '@mikro-orm/migrations';

/**
 * Sources whose sample producers were removed: what these still had on its way is not stored any more.
 * `emptied`: their events are gone too.
 */
export class RemovedSamples extends Migration {
  override up(): void {
    this.addSql(`create table removed_samples (
      source_id text primary key,
      emptied boolean not null default false
    )`);
  }
}
