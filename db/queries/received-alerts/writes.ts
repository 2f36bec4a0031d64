import { sql } from 'kysely';
import type { KnownAlert } from '../../../domain/received-alerts/alert.ts';
import { receivingRulesThat } from '../../../domain/received-alerts/protocols.ts';
import { LOCKS } from '../../locks.ts';
import type { Sql } from '../../orm.ts';
import { mergePending } from '../rules/wake.ts';
import { deleteInChunks } from '../system/delete-in-chunks.ts';

/** A received alert as stored. Times in epoch milliseconds. */
export interface ReceivedAlertRow extends KnownAlert {
  rule_id: string;
  key: string;
  /**
   * The group that the alert belongs to: its own key, or the overflow group. It is decided when an episode
   * begins.
   */
  group_key: string;
  /** When the latest message about the alert arrived. */
  updated_at: number;
}

/** What receiving needs to know of a built-in rule. */
export interface ReceivingRule {
  id: string;
  name: string;
  enabled: boolean;
  incident_severity: string | null;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  max_groups: number;
}

/** The columns of an alert in a JSON record set. */
const COLUMNS = sql`rule_id uuid, key text, group_key text, labels jsonb, annotations jsonb, severity text, summary text,
  generator_url text, starts_at bigint, ends_at bigint, ends text, not_before bigint, acknowledged_at bigint,
  acknowledged_by text, updated_at bigint, senders jsonb`;

/** The columns of an alert for reading, with numbers as numbers. */
export const ALERT = sql`a.rule_id, a.key, a.group_key, a.labels, a.annotations, a.severity, a.summary, a.generator_url,
  a.starts_at::float8 as starts_at, a.ends_at::float8 as ends_at, a.ends, a.not_before::float8 as not_before,
  a.acknowledged_at::float8 as acknowledged_at, a.acknowledged_by, a.updated_at::float8 as updated_at,
  a.senders`;

/**
 * Takes the shared lock of the rule set, like an append. No rule changes until this transaction ends, so
 * groups are noted for the revision in force. Returns the rules, read after the lock.
 */
export async function enterReceiving(db: Sql, ids: readonly string[]): Promise<ReceivingRule[]> {
  await sql`select pg_advisory_xact_lock_shared(${LOCKS.ruleSet})`.execute(db);
  const { rows } = await sql<ReceivingRule>`
    select id, name, enabled, incident_severity, labels, annotations, (definition->>'max_groups')::int as max_groups
    from alert_rules where id = any(${ids}::uuid[])`.execute(db);
  return rows;
}

/** Locks the rows of these alerts in a fixed order, and returns those that exist. */
export async function lockAlerts(
  db: Sql,
  keys: readonly { rule_id: string; key: string }[],
): Promise<ReceivedAlertRow[]> {
  const { rows } = await sql<ReceivedAlertRow>`
    select ${ALERT} from received_alerts a
    join jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as k(rule_id uuid, key text) using (rule_id, key)
    order by rule_id, key for update of a`.execute(db);
  return rows;
}

/**
 * Stores new alerts. Returns false if another process stored one meanwhile; the caller must then start again.
 */
export async function insertAlerts(db: Sql, rows: readonly ReceivedAlertRow[]): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into received_alerts select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as x(${COLUMNS})
    order by rule_id, key on conflict do nothing`.execute(db);
  return Number(numAffectedRows ?? 0) === rows.length;
}

/** Updates alerts that changed. */
export async function updateAlerts(db: Sql, rows: readonly ReceivedAlertRow[]): Promise<void> {
  await sql`
    update received_alerts a set group_key = x.group_key, labels = x.labels, annotations = x.annotations,
      severity = x.severity, summary = x.summary, generator_url = x.generator_url, starts_at = x.starts_at,
      ends_at = x.ends_at, ends = x.ends, not_before = x.not_before, acknowledged_at = x.acknowledged_at,
      acknowledged_by = x.acknowledged_by, updated_at = x.updated_at, senders = x.senders
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as x(${COLUMNS})
    where a.rule_id = x.rule_id and a.key = x.key`.execute(db);
}

/** Updates alerts that were only repeated: their end moves. */
export async function refreshAlerts(db: Sql, rows: readonly ReceivedAlertRow[]): Promise<void> {
  const moved = rows.map(({ rule_id, key, ends_at, ends, updated_at, senders }) => ({
    ...{ rule_id, key, ends_at, ends, updated_at, senders },
  }));
  await sql`
    update received_alerts a set ends_at = x.ends_at, ends = x.ends, updated_at = x.updated_at, senders = x.senders
    from jsonb_to_recordset(${JSON.stringify(moved)}::jsonb)
      as x(rule_id uuid, key text, ends_at bigint, ends text, updated_at bigint, senders jsonb)
    where a.rule_id = x.rule_id and a.key = x.key`.execute(db);
}

/** Stores episodes that were followed by another one. */
export async function keepPast(db: Sql, rows: readonly ReceivedAlertRow[]): Promise<void> {
  await sql`
    insert into past_received_alerts as p
    select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as x(${COLUMNS})
    on conflict (rule_id, key, starts_at) do update set ends_at = greatest(p.ends_at, excluded.ends_at)`.execute(
    db,
  );
}

/**
 * Notes groups that must be judged, by the revision in force if it judges. Returns the rules for which
 * something new was noted.
 */
export async function notePendingAlerts(
  db: Sql,
  groups: readonly { rule_id: string; group_key: string; from_at: number; to_at: number }[],
): Promise<string[]> {
  const { rows } = await sql<{ rule_id: string }>`
    with noted as (
      insert into pending_evaluations as p (rule_id, revision, group_key, late, from_at, to_at)
      select x.rule_id, v.revision, x.group_key, false, min(x.from_at), max(x.to_at)
      from jsonb_to_recordset(${JSON.stringify(groups)}::jsonb)
        as x(rule_id uuid, group_key text, from_at bigint, to_at bigint)
      join rule_versions v on v.rule_id = x.rule_id and v.superseded_at is null and v.enabled
      group by 1, 2, 3 order by 1, 2, 3
      ${mergePending}
      returning rule_id, xmax = 0 as fresh
    )
    select distinct rule_id from noted where fresh`.execute(db);
  return rows.map(({ rule_id }) => rule_id);
}

/** The rules whose alerts a person ends by resolving their incident. */
const ENDED_BY_PEOPLE = receivingRulesThat('endedByPeople');

/**
 * Locks the alerts of an incident that people end with it, and its rule. It must be called before the
 * incident is locked, because receivers lock in that order.
 */
export async function holdPagedAlerts(db: Sql, incidentId: string): Promise<void> {
  const ofIncident = sql`alert_incidents i where i.id = ${incidentId} and i.rule_id = any(${ENDED_BY_PEOPLE}::uuid[])`;
  const { rows } = await sql`select from ${ofIncident}`.execute(db);
  if (rows.length === 0) return;
  await sql`select pg_advisory_xact_lock_shared(${LOCKS.ruleSet})`.execute(db);
  await sql`
    select from received_alerts a where (a.rule_id, a.group_key) in (select i.rule_id, i.group_key from ${ofIncident})
    order by a.key for update`.execute(db);
}

/**
 * Ends the alerts of a group after a person resolved their incident, and notes the group for judging. Alerts
 * of protocols in which people do not end alerts continue until their senders end them. `at`: epoch ms.
 */
export async function endPagedAlerts(
  db: Sql,
  { rule_id, group_key }: { rule_id: string; group_key: string },
  at: number,
): Promise<void> {
  if (!ENDED_BY_PEOPLE.includes(rule_id)) return;
  const { rows } = await sql<{ starts_at: number }>`
    update received_alerts set ends = 'resolved', ends_at = greatest(${at}::bigint, starts_at + 1), updated_at = ${at}::bigint
    where rule_id = ${rule_id} and group_key = ${group_key} and ends <> 'resolved'
    returning starts_at::float8 as starts_at`.execute(db);
  if (rows.length === 0) return;
  await notePendingAlerts(
    db,
    rows.map(({ starts_at }) => ({
      ...{ rule_id, group_key, from_at: starts_at, to_at: Math.max(starts_at, at) },
    })),
  );
}

/**
 * Removes alerts that ended before `before` (epoch ms), if their end was judged or never will be: their group
 * was judged at a later time, and no evaluation is pending for it.
 */
export async function forgetAlerts(db: Sql, before: number, progress?: () => void): Promise<number> {
  const done = sql`t.ends_at < ${Math.floor(before)}::bigint
    and not exists (
      select from pending_evaluations p where p.rule_id = t.rule_id and p.group_key = t.group_key)
    and not exists (
      select from rule_groups g where g.rule_id = t.rule_id and g.group_key = t.group_key
        and g.state <> 'ok' and coalesce(g.deferred_from, g.next_due) <= t.ends_at)`;
  let gone = 0;
  for (const table of ['received_alerts', 'past_received_alerts']) {
    gone += await deleteInChunks(db, table, done, progress);
  }
  return gone;
}
