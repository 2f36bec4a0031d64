import { Migration } from '@mikro-orm/migrations';

/** Adds when a process ended in order, and when a person retired it. */
export class EndedProcesses extends Migration {
  override up(): void {
    this.addSql(
      'alter table processes add column ended_at timestamptz(3), add column retired_at timestamptz(3)',
    );
  }
}
