import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { IncidentState, ResolveReason } from '../../domain/incidents/incident.ts';
import type { DeliveryOutcome, NoticeKind } from '../../domain/incidents/notice.ts';
import type { TimelineKind } from '../../domain/incidents/timeline.ts';

/**
 * An incident: one episode of one group of a rule. `id` is derived from these three, so that the same episode
 * cannot be recorded twice.
 */
export const IncidentEntity = defineEntity({
  name: 'Incident',
  tableName: 'alert_incidents',
  properties: {
    id: p.uuid().primary(),
    ruleId: p.uuid(),
    groupKey: p.text(),
    episode: p.integer(),
    revision: p.integer(),
    ruleName: p.string().length(200),
    summary: p.text(),
    severity: p.string().length(32),
    state: p.string().length(16).$type<IncidentState>(),
    /** True if its events arrived more than a minute after they happened. */
    late: p.boolean().default(false),
    /**
     * When the condition began to hold. This, `openedAt` and `endedAt` are event times; `recordedAt` is the
     * time at which Tocsin wrote the row.
     */
    since: p.datetime(3),
    openedAt: p.datetime(3),
    /** End of the episode. Null while the rule fires, even if a person has resolved the incident. */
    endedAt: p.datetime(3).nullable(),
    recordedAt: p.datetime(3),
    acknowledgedAt: p.datetime(3).nullable(),
    acknowledgedBy: p.string().length(200).nullable(),
    resolvedAt: p.datetime(3).nullable(),
    /** The person who resolved it; null if the rule did. */
    resolvedBy: p.string().length(200).nullable(),
    resolveReason: p.string().length(32).$type<ResolveReason>().nullable(),
    mergedInto: p.uuid().nullable(),
    /**
     * When the incident was withdrawn, because late events showed that the rule never fired. Its episode is
     * then empty.
     */
    withdrawnAt: p.datetime(3).nullable(),
    reopened: p.integer().default(0),
    /** How many times late events shortened or split it. */
    corrections: p.integer().default(0),
    /** Values of the rule's `group_by` fields. */
    groupLabels: p.json<Record<string, string>>(),
    labels: p.json<Record<string, string>>(),
    annotations: p.json<Record<string, string>>(),
    /** {observed_count, window_seconds}, as in the reference. */
    metadata: p.json<Record<string, number>>(),
  },
  uniques: [{ name: 'alert_incidents_episode_unique', properties: ['ruleId', 'groupKey', 'episode'] }],
  indexes: [
    { name: 'alert_incidents_opened_at_index', properties: ['openedAt', 'id'] },
    // These indexes keep the cost of judging and waking independent of how many old incidents a group has.
    {
      name: 'alert_incidents_ends',
      expression:
        "create index alert_incidents_ends on alert_incidents (rule_id, group_key, (coalesce(ended_at, 'infinity'::timestamptz))) where merged_into is null",
    },
    {
      name: 'alert_incidents_unended',
      expression:
        'create index alert_incidents_unended on alert_incidents (rule_id, group_key) where ended_at is null',
    },
    {
      name: 'alert_incidents_one_open_per_group',
      expression:
        "create unique index alert_incidents_one_open_per_group on alert_incidents (rule_id, group_key) where state <> 'resolved'",
    },
  ],
});
export type Incident = InferEntity<typeof IncidentEntity>;

/** The timeline: everything that happened to an incident, in order. Entries are only added. */
export const TimelineEntity = defineEntity({
  name: 'TimelineEntry',
  tableName: 'incident_timeline',
  properties: {
    id: p.bigint('number').primary().autoincrement(),
    incidentId: p.uuid().index('incident_timeline_incident_id_index'),
    at: p.datetime(3),
    /** The types of this and `detail` are in `domain/incidents/timeline.ts`. */
    kind: p.string().length(32).$type<TimelineKind>(),
    /** `rule`, `tocsin`, or a person's name. */
    actor: p.string().length(200),
    detail: p.json<Record<string, unknown>>(),
  },
});

/**
 * A notice: something about an incident that people must be told. It is written in the same transaction as
 * the change.
 */
export const NoticeEntity = defineEntity({
  name: 'Notice',
  tableName: 'notices',
  properties: {
    id: p.uuid().primary(),
    incidentId: p.uuid(),
    kind: p.string().length(16).$type<NoticeKind>(),
    at: p.datetime(3),
    /** True once every channel has delivered it or given up; also if there was no channel. */
    done: p.boolean().default(false),
  },
  indexes: [
    { name: 'notices_incident_id_index', properties: ['incidentId'] },
    { name: 'notices_due', expression: 'create index notices_due on notices (at) where not done' },
  ],
});
export type Notice = InferEntity<typeof NoticeEntity>;

/** One attempt to deliver one notice through one channel. */
export const DeliveryEntity = defineEntity({
  name: 'Delivery',
  tableName: 'deliveries',
  properties: {
    id: p.uuid().primary(),
    noticeId: p.uuid(),
    incidentId: p.uuid().index('deliveries_incident_id_index'),
    channel: p.string().length(64),
    attempt: p.integer(),
    at: p.datetime(3),
    outcome: p.string().length(16).$type<DeliveryOutcome>(),
    durationMs: p.integer(),
    /** The receiver's answer, without secrets. */
    detail: p.text(),
  },
  uniques: [{ name: 'deliveries_attempt_unique', properties: ['noticeId', 'channel', 'attempt'] }],
});
export type Delivery = InferEntity<typeof DeliveryEntity>;
