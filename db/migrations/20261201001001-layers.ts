import { Migration } from '@mikro-orm/migrations';

/**
 * Revisions that count the same share their counts. Each revision counts in a layer of its own, the rows of `window_counts`
 * and `window_times` with its number in `revision`, and reads the layers from `first_layer` on. Null: only its own layer, as
 * before and as processes of 0.1.0 write it.
 */
export class Layers extends Migration {
  override up(): void {
    this.addSql('alter table rule_versions add column first_layer int null');
  }
}
