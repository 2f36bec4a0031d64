import { iso, isoOrNull } from '../instant.ts';
import type { IncidentState, ResolveReason } from './incident.ts';

/** An incident as the API shows it; times in ISO 8601. */
export interface IncidentFacts {
  id: string;
  rule_id: string;
  rule_name: string;
  severity: string;
  state: IncidentState;
  summary: string;
  late: boolean;
  since: string;
  /** The same as `opened_at`, by the reference's name. */
  triggered_at: string;
  opened_at: string;
  ended_at: string | null;
  recorded_at: string;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  resolved_at: string | null;
  resolved_by: string | null;
  resolve_reason: ResolveReason | null;
  merged_into: string | null;
  /** When the incident was withdrawn, because late events showed that the rule never fired; else null. */
  withdrawn_at: string | null;
  reopened: number;
  /** How many times late events shortened or split it. */
  corrections: number;
  group: Record<string, string>;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  metadata: Record<string, number>;
}

/** The part of an incident's row that its workflow uses and shows. */
export interface IncidentOutline {
  rule_id: string;
  rule_name: string;
  severity: string;
  state: IncidentState;
  summary: string;
  since: string;
  opened_at: string;
  acknowledged_by: string | null;
  resolved_at: string | null;
  resolved_by: string | null;
  resolve_reason: string | null;
}

type Time =
  | ('since' | 'opened_at' | 'ended_at' | 'recorded_at')
  | ('acknowledged_at' | 'resolved_at' | 'withdrawn_at');

/** The row of an incident. Times in epoch milliseconds. */
export type IncidentRow = Omit<IncidentFacts, Time | 'triggered_at' | 'group'> & {
  [T in Time]: null extends IncidentFacts[T] ? number | null : number;
} & { group_labels: Record<string, string> };

/** Converts a row into what the API and notices show. No other code does. */
export function factsOf({ group_labels, ...row }: IncidentRow): IncidentFacts {
  return {
    ...row,
    group: group_labels,
    since: iso(row.since),
    triggered_at: iso(row.opened_at),
    opened_at: iso(row.opened_at),
    ended_at: isoOrNull(row.ended_at),
    recorded_at: iso(row.recorded_at),
    acknowledged_at: isoOrNull(row.acknowledged_at),
    resolved_at: isoOrNull(row.resolved_at),
    withdrawn_at: isoOrNull(row.withdrawn_at),
  };
}

/** The part that the workflow keeps in its history. It is small, however many labels the rule has. */
export function outlineOf(row: IncidentRow): IncidentOutline {
  const { rule_id, rule_name, severity, state, summary, since, opened_at, ...rest } = factsOf(row);
  const { acknowledged_by, resolved_at, resolved_by, resolve_reason } = rest;
  return {
    ...{ rule_id, rule_name, severity, state, summary: summary.slice(0, 1000), since, opened_at },
    ...{ acknowledged_by, resolved_at, resolved_by, resolve_reason },
  };
}
