import { Migration } from '@mikro-orm/migrations';

/**
 * Keeps the cost of judging and waking independent of how many old incidents a group has: incidents that
 * ended late, or not at all, are found without reading the others. The group that has waited longest is
 * judged first, and a group whose judging fails is deferred.
 */
export class IncidentLookups extends Migration {
  override up(): void {
    this.addSql(
      `create index alert_incidents_ends on alert_incidents (rule_id, group_key, (coalesce(ended_at, 'infinity'::timestamptz))) where merged_into is null`,
    );
    this.addSql(
      `create index alert_incidents_unended on alert_incidents (rule_id, group_key) where ended_at is null`,
    );
    this.addSql(`alter table pending_evaluations add column noted_at timestamptz not null default clock_timestamp(),
      add column failures integer not null default 0, add column retry_at timestamptz, add column failure text`);
    this.addSql(
      `create index pending_evaluations_oldest on pending_evaluations (rule_id, revision, noted_at)`,
    );
  }
}
