import { Migration } from '@mikro-orm/migrations';

/**
 * Lets revisions with the same measure share counts. Each revision counts in a layer of its own: the rows of
 * `window_counts` and `window_times` with its number in `revision`. It reads the layers from `first_layer` up
 * to its own. Null means only its own layer, as processes of 0.1.0 write it.
 */
export class Layers extends Migration {
  override up(): void {
    this.addSql('alter table rule_versions add column first_layer int null');
  }
}
