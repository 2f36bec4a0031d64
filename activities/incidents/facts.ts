import type { Incident } from '../../db/entities/incident.ts';
import type { IncidentFacts, IncidentOutline } from '../../domain/incidents/notice.ts';

/** An incident's row in the API's words. */
export function factsOf(row: Incident): IncidentFacts {
  const iso = (time: Date | null | undefined) => time?.toISOString() ?? null;
  return {
    id: row.id,
    rule_id: row.ruleId,
    rule_name: row.ruleName,
    severity: row.severity,
    state: row.state,
    summary: row.summary,
    late: row.late,
    since: row.since.toISOString(),
    triggered_at: row.openedAt.toISOString(),
    opened_at: row.openedAt.toISOString(),
    ended_at: iso(row.endedAt),
    recorded_at: row.recordedAt.toISOString(),
    acknowledged_at: iso(row.acknowledgedAt),
    acknowledged_by: row.acknowledgedBy ?? null,
    resolved_at: iso(row.resolvedAt),
    resolved_by: row.resolvedBy ?? null,
    resolve_reason: row.resolveReason ?? null,
    merged_into: row.mergedInto ?? null,
    reopened: row.reopened,
    group: row.groupLabels,
    labels: row.labels,
    annotations: row.annotations,
    metadata: row.metadata,
  };
}

/** The part that the workflow keeps in its history: small, whatever labels the rule carries. */
export function outlineOf(row: Incident): IncidentOutline {
  const { rule_id, rule_name, severity, state, summary, since, opened_at, ...rest } = factsOf(row);
  const { acknowledged_by, resolved_at, resolved_by, resolve_reason } = rest;
  return {
    ...{ rule_id, rule_name, severity, state, summary: summary.slice(0, 1000), since, opened_at },
    ...{ acknowledged_by, resolved_at, resolved_by, resolve_reason },
  };
}
