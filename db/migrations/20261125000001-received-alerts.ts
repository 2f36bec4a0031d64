import { Migration } from '@mikro-orm/migrations';

/**
 * Received alerts, and the built-in rules that open incidents for them. They are raw SQL, because every
 * refresh of an active alert writes its row. Times are epoch milliseconds.
 */
export class ReceivedAlerts extends Migration {
  override up(): void {
    // The latest episode of each alert. A refresh must update the row in place. So there is no index on the
    // columns that it changes, and each page has free space.
    this.addSql(`create table received_alerts (
      rule_id uuid not null,
      key text not null,
      group_key text not null,
      labels jsonb not null,
      annotations jsonb not null,
      severity varchar(32) not null,
      summary text not null,
      generator_url text,
      starts_at bigint not null,
      ends_at bigint not null,
      ends varchar(8) not null,
      not_before bigint,
      acknowledged_at bigint,
      acknowledged_by text,
      updated_at bigint not null,
      primary key (rule_id, key)
    ) with (fillfactor = 50)`);
    this.addSql('create index received_alerts_group on received_alerts (rule_id, group_key)');

    // Episodes before the latest. If two came before the first was judged, they are still two incidents.
    this.addSql('create table past_received_alerts (like received_alerts)');
    this.addSql('alter table past_received_alerts add primary key (rule_id, key, starts_at)');
    this.addSql('create index past_received_alerts_group on past_received_alerts (rule_id, group_key)');

    // Events about changes of alerts. A row is written with the change, and removed once its event is stored.
    this.addSql(`create table received_events (
      event_id uuid primary key,
      event jsonb not null,
      created_at timestamptz not null default now()
    )`);

    this.#addRule('7c0a1e55-0000-4000-8000-000000000001', 'Alerts from Alertmanager clients', 'alertmanager');
    this.#addRule('7c0a1e55-0000-4000-8000-000000000002', 'Events by PagerDuty’s API', 'pagerduty');
  }

  /**
   * Adds a built-in rule. Its texts are written out here, because later changes of the code must not change
   * this migration.
   */
  #addRule(id: string, name: string, protocol: string): void {
    const definition = JSON.stringify({
      ...{
        condition: { kind: 'received', protocol },
        event_type: null,
        severity: null,
        match: [],
        group_by: [],
      },
      ...{ for_seconds: 0, keep_firing_seconds: 0, recovery_threshold: null },
      ...{ allowed_lateness_seconds: 0, max_groups: 10_000 },
    });
    this.addSql(`insert into alert_rules
      (id, name, enabled, definition, late, incident_severity, labels, annotations, sample, revision, created_at, updated_at, deleted_at)
      values ('${id}', '${name}', true, '${definition}', 'notify', null, '{}', '{}', false, 1, now(), now(), null)`);
    this.addSql(`insert into rule_versions
      (rule_id, revision, definition, enabled, effective_at, snapshot, counted_from, window_ms, bucket_ms, threshold, ready, superseded_at, settled)
      values ('${id}', 1, '${definition}', true, now(), pg_current_snapshot()::text, now(), 0, 1000, 1, true, null, false)`);
  }
}
