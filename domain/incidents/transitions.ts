import { iso, isoOrNull } from '../instant.ts';
import type { Episode } from '../rules/episodes.ts';
import { noticeId } from './ids.ts';
import type { IncidentChange, IncidentOnRecord, IncidentState, ResolveReason } from './incident.ts';
import type { NoticeKind } from './notice.ts';
import { CORRECTED, type TimelineEntry } from './timeline.ts';

/** The columns of an incident that change. Times in epoch milliseconds. */
export interface IncidentColumns {
  revision: number;
  state: IncidentState;
  since: number;
  opened_at: number;
  ended_at: number | null;
  acknowledged_at: number | null;
  acknowledged_by: string | null;
  resolved_at: number | null;
  resolved_by: string | null;
  resolve_reason: ResolveReason | null;
  merged_into: string | null;
  withdrawn_at: number | null;
  reopened: number;
  /** How many times late events shortened or split it. */
  corrections: number;
  metadata: Record<string, number>;
}

/** The texts of an incident. */
export interface IncidentWords {
  summary: string;
  severity: string;
  group_labels: Record<string, string>;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface NewIncident extends IncidentColumns, IncidentWords {
  id: string;
  rule_id: string;
  rule_name: string;
  group_key: string;
  episode: number;
  late: boolean;
  recorded_at: number;
}

export interface NewNotice {
  id: string;
  incident_id: string;
  kind: NoticeKind;
  /** Epoch milliseconds. */
  at: number;
}

/** One change of one incident: its row, its timeline entries, and its notices. */
export interface Transition {
  incident: NewIncident | ({ id: string } & Partial<IncidentColumns>);
  entries: TimelineEntry[];
  notices: NewNotice[];
}

/** A recorded incident, with what the next transition depends on. */
export type RecordedIncident = IncidentOnRecord &
  Pick<IncidentColumns, 'resolved_at' | 'resolve_reason' | 'reopened' | 'corrections'>;

type Opened = Omit<NewIncident, keyof IncidentColumns> & Pick<NewIncident, 'revision' | 'metadata'>;

/**
 * Opens an incident. If its episode is over already, it is resolved with `reason`. @param announced whether
 * people are notified
 */
export function open(
  incident: Opened,
  { since, opened_at, ended_at }: Episode,
  { reason, announced, split_from }: { reason: ResolveReason; announced: boolean; split_from?: string },
): Transition {
  const { id, late, recorded_at, metadata } = incident;
  const over = ended_at !== null;
  const detail = {
    ...{ late, recorded_at: iso(recorded_at), observed_count: metadata.observed_count },
    ...(split_from !== undefined && { split_from }),
  };
  return {
    incident: {
      ...incident,
      ...{ since, opened_at, ended_at, state: over ? 'resolved' : 'open' },
      ...{ acknowledged_at: null, acknowledged_by: null },
      ...{ resolved_at: ended_at, resolved_by: null, resolve_reason: over ? reason : null },
      ...{ merged_into: null, withdrawn_at: null, reopened: 0, corrections: 0 },
    },
    entries: [
      byRule(id, opened_at, 'opened', detail),
      ...(over ? [byRule(id, ended_at, 'resolved', { reason })] : []),
    ],
    notices: announced
      ? [notice(id, 'opened', 0, recorded_at), ...(over ? [notice(id, 'resolved', 0, recorded_at)] : [])]
      : [],
  };
}

/** What is known when a recorded incident changes. `told`: people were notified of it. */
export interface Situation {
  told: boolean;
  now: number;
}

/**
 * Ends the episode of an incident. If a person resolved the incident before, it stays as it is. People are
 * notified only if they were notified of the incident.
 */
export function end(
  { id, state, reopened }: RecordedIncident,
  { ended_at, reason }: { ended_at: number; reason: ResolveReason },
  { told, now }: Situation,
): Transition {
  if (state === 'resolved')
    return { incident: { id, ended_at }, entries: [byRule(id, ended_at, 'recovered', {})], notices: [] };
  return {
    incident: { id, ended_at, state: 'resolved', resolved_at: ended_at, resolve_reason: reason },
    entries: [byRule(id, ended_at, 'resolved', { reason })],
    notices: told ? [notice(id, 'resolved', reopened, now)] : [],
  };
}

type Change<K extends IncidentChange['kind']> = Extract<IncidentChange, { kind: K }>;

/**
 * Makes an incident begin earlier or end later. If it turns out not to be over, it is reopened, and people
 * are notified in every case.
 * @param metadata what was observed at the new opening; without it, this stays as it is
 * @param resolvedAs the merged incident that a person resolved, which now counts for this one
 */
export function extend(
  before: RecordedIncident,
  { id, since, opened_at, ended_at, reopen }: Change<'extend'>,
  { metadata, resolvedAs }: { metadata?: Record<string, number>; resolvedAs?: RecordedIncident },
  { now }: Situation,
): Transition {
  const grown = { id, since, opened_at, ended_at, ...(metadata && { metadata }) };
  if (reopen) {
    const reopened = before.reopened + 1;
    const was = before.ended_at === null ? {} : { resolved_at: iso(before.ended_at) };
    return {
      incident: {
        ...{ ...grown, state: 'open', reopened },
        ...{ resolved_at: null, resolved_by: null, resolve_reason: null },
      },
      entries: [byRule(id, now, 'reopened', was)],
      notices: [notice(id, 'reopened', reopened, now)],
    };
  }
  return {
    incident: { ...grown, ...(resolvedAs ? resolveOf(resolvedAs) : resolvedWithEnd(before, ended_at)) },
    entries: [byRule(id, now, 'extended', bounds(opened_at, ended_at))],
    notices: [],
  };
}

const resolveOf = ({ resolved_at, resolved_by, resolve_reason }: RecordedIncident) => ({
  ...{ resolved_at, resolved_by, resolve_reason },
});

/** If the rule resolved an incident, it did so when the episode ended. */
const resolvedWithEnd = ({ state, resolved_by }: RecordedIncident, ended_at: number | null) =>
  ended_at !== null && state === 'resolved' && resolved_by === null ? { resolved_at: ended_at } : {};

/**
 * Merges an incident into an earlier one. Receivers know it by its own id, so they are told that it is over.
 */
export function merge(
  { id, state, reopened }: RecordedIncident,
  { into }: Change<'merge'>,
  { told, now }: Situation,
): Transition {
  const resolves = state !== 'resolved';
  return {
    incident: {
      ...{ id, merged_into: into },
      ...(resolves && { state: 'resolved', resolved_at: now, resolve_reason: 'merged' }),
    },
    entries: [byRule(id, now, 'merged', { into }), byRule(into, now, 'extended', { merged: id })],
    notices: resolves && told ? [notice(id, 'resolved', reopened, now)] : [],
  };
}

/**
 * Makes an incident begin later or end sooner, because late events disproved the rest. @param parts ids of
 * the new incidents that were part of it
 */
export function shorten(
  before: RecordedIncident,
  { id, since, opened_at, ended_at }: Change<'shorten'>,
  { metadata, parts }: { metadata?: Record<string, number>; parts: readonly string[] },
  { told, now }: Situation,
): Transition {
  const corrections = before.corrections + 1;
  const detail: TimelineEntry<'shortened'>['detail'] = {
    ...{ reason: CORRECTED, before: bounds(before.opened_at, before.ended_at) },
    ...bounds(opened_at, ended_at),
  };
  const kind = parts.length > 0 ? 'split' : 'shortened';
  return {
    incident: {
      ...{ id, since, opened_at, ended_at, corrections, ...(metadata && { metadata }) },
      ...resolvedWithEnd(before, ended_at),
    },
    entries: [
      kind === 'split'
        ? byRule(id, now, kind, { ...detail, into: [...parts] })
        : byRule(id, now, kind, detail),
    ],
    notices: told ? [notice(id, kind, corrections, now)] : [],
  };
}

/**
 * Withdraws an incident, because late events showed that the rule never fired. Its episode is then empty.
 * What people did with it stays, including a resolve.
 */
export function withdraw(before: RecordedIncident, { told, now }: Situation): Transition {
  const { id, opened_at, ended_at, state, resolved_by, resolved_at } = before;
  const byPerson = state === 'resolved' && resolved_by !== null;
  return {
    incident: {
      ...{ id, ended_at: opened_at, withdrawn_at: now },
      ...(!byPerson && { state: 'resolved', resolved_at: resolved_at ?? now, resolve_reason: 'withdrawn' }),
    },
    entries: [byRule(id, now, 'withdrawn', { reason: CORRECTED, before: bounds(opened_at, ended_at) })],
    notices: told ? [notice(id, 'withdrawn', 0, now)] : [],
  };
}

/** Hands an open incident over to another revision of its rule. */
export const handOver = (id: string, revision: number): Transition => ({
  ...{ incident: { id, revision }, entries: [], notices: [] },
});

function byRule<K extends TimelineEntry['kind']>(
  incident_id: string,
  at: number,
  kind: K,
  detail: TimelineEntry<K>['detail'],
): TimelineEntry<K> {
  return { incident_id, at, kind, actor: 'rule', detail } as TimelineEntry<K>;
}

const notice = (incident_id: string, kind: NoticeKind, n: number, at: number): NewNotice => ({
  ...{ id: noticeId(incident_id, kind, n), incident_id, kind, at },
});

const bounds = (opened_at: number, ended_at: number | null) => ({
  ...{ opened_at: iso(opened_at), ended_at: isoOrNull(ended_at) },
});
