import { type RawBuilder, sql } from 'kysely';
import type { IncidentRow } from '../../../domain/incidents/facts.ts';
import type { IncidentState } from '../../../domain/incidents/incident.ts';
import type { NoticeKind } from '../../../domain/incidents/notice.ts';
import type { TimelineEntry } from '../../../domain/incidents/timeline.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';

/**
 * Which incidents to list. Times in epoch milliseconds: the incident opened at or after `from` and before
 * `to`.
 */
export interface IncidentFilter {
  state?: IncidentState;
  rule_id?: string;
  severity?: string;
  /** Each of them must be among the labels of the incident or of its group. */
  labels?: readonly { name: string; value: string }[];
  from?: number;
  to?: number;
}

export type TimelineRow = Omit<TimelineEntry, 'incident_id'>;

export interface DeliveryRow {
  channel: string;
  attempt: number;
  at: number;
  outcome: string;
  duration_ms: number;
  detail: string;
}

export interface NoticeRow {
  id: string;
  kind: NoticeKind;
  at: number;
  done: boolean;
  deliveries: DeliveryRow[];
}

const COLUMNS = sql`id, rule_id, rule_name, summary, severity, state, late, ${ms('since')} as since,
  ${ms('opened_at')} as opened_at, ${ms('ended_at')} as ended_at, ${ms('recorded_at')} as recorded_at,
  ${ms('acknowledged_at')} as acknowledged_at, acknowledged_by, ${ms('resolved_at')} as resolved_at, resolved_by,
  resolve_reason, merged_into, ${ms('withdrawn_at')} as withdrawn_at, reopened, corrections, group_labels, labels, annotations, metadata`;

/** Lists incidents by opening time, from new to old. `after`: only those that follow this one. */
export async function listIncidents(
  db: Sql,
  filter: IncidentFilter,
  { after, limit }: { after?: { at: number; id: string }; limit: number },
): Promise<IncidentRow[]> {
  const conditions = conditionsOf(filter);
  if (after) conditions.push(sql`(opened_at, id) < (${instant(after.at)}, ${after.id}::uuid)`);
  const { rows } = await sql<IncidentRow>`
    select ${COLUMNS} from alert_incidents
    where ${sql.join([sql`true`, ...conditions], sql` and `)}
    order by alert_incidents.opened_at desc, id desc limit ${limit}`.execute(db);
  return rows;
}

/** Finds an incident, or null. */
export async function findIncident(db: Sql, id: string): Promise<IncidentRow | null> {
  const { rows } = await sql<IncidentRow>`
    select ${COLUMNS} from alert_incidents where id = ${id}::uuid`.execute(db);
  return rows[0] ?? null;
}

/** Reads the timeline of an incident, in order. */
export async function incidentTimeline(db: Sql, id: string): Promise<TimelineRow[]> {
  const { rows } = await sql<TimelineRow>`
    select ${ms('at')} as at, kind, actor, detail from incident_timeline
    where incident_id = ${id}::uuid order by incident_timeline.id`.execute(db);
  return rows;
}

/** Reads the notices of an incident in order, each with all attempts to deliver it. */
export async function incidentNotices(db: Sql, id: string): Promise<NoticeRow[]> {
  const { rows } = await sql<NoticeRow>`
    select id, kind, ${ms('at')} as at, done,
      coalesce((
        select jsonb_agg(jsonb_build_object('channel', d.channel, 'attempt', d.attempt,
          'at', ${ms('d.at')}, 'outcome', d.outcome, 'duration_ms', d.duration_ms,
          'detail', d.detail) order by d.at, d.channel, d.attempt)
        from deliveries d where d.notice_id = notices.id and d.incident_id = notices.incident_id
      ), '[]'::jsonb) as deliveries
    from notices where incident_id = ${id}::uuid order by notices.at, id`.execute(db);
  return rows;
}

function conditionsOf({ state, rule_id, severity, labels, from, to }: IncidentFilter): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = [];
  if (state !== undefined) conditions.push(sql`state = ${state}`);
  if (rule_id !== undefined) conditions.push(sql`rule_id = ${rule_id}::uuid`);
  if (severity !== undefined) conditions.push(sql`severity = ${severity}`);
  if (from !== undefined) conditions.push(sql`opened_at >= ${instant(from)}`);
  if (to !== undefined) conditions.push(sql`opened_at < ${instant(to)}`);
  for (const { name, value } of labels ?? []) {
    conditions.push(sql`(labels ->> ${name}::text = ${value} or group_labels ->> ${name}::text = ${value})`);
  }
  return conditions;
}
