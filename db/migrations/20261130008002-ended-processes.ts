import { Migration } from '@mikro-orm/migrations';

/** When a process ended in order, and when a person declared a dead one to be gone for good. */
export class EndedProcesses extends Migration {
  override up(): void {
    this.addSql(
      'alter table processes add column ended_at timestamptz(3), add column retired_at timestamptz(3)',
    );
  }
}
