import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { IncidentState } from '../../domain/incidents/incident.ts';
import type { DeliveryOutcome, NoticeKind } from '../../domain/incidents/notice.ts';

/**
 * One episode of one group of one rule. `id` is derived from (rule, group, episode), so that it can't be
 * opened twice.
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
    /** Its events came more than a minute after they happened. */
    late: p.boolean().default(false),
    /** Computed from event time, as are `openedAt` and `endedAt`; `recordedAt` is when we looked. */
    since: p.datetime(3),
    openedAt: p.datetime(3),
    /** End of the episode; null while it fires, also after a person resolved it. */
    endedAt: p.datetime(3).nullable(),
    recordedAt: p.datetime(3),
    acknowledgedAt: p.datetime(3).nullable(),
    acknowledgedBy: p.string().length(200).nullable(),
    resolvedAt: p.datetime(3).nullable(),
    /** The person who resolved it; null where the rule did. */
    resolvedBy: p.string().length(200).nullable(),
    /** `recovered`, `manual`, `rule changed`, `rule disabled`, `rule deleted`, `merged`. */
    resolveReason: p.string().length(32).nullable(),
    mergedInto: p.uuid().nullable(),
    reopened: p.integer().default(0),
    /** Values of the rule's `group_by` fields. */
    groupLabels: p.json<Record<string, string>>(),
    labels: p.json<Record<string, string>>(),
    annotations: p.json<Record<string, string>>(),
    /** {observed_count, window_seconds} as in the reference. */
    metadata: p.json<Record<string, number>>(),
  },
  uniques: [{ name: 'alert_incidents_episode_unique', properties: ['ruleId', 'groupKey', 'episode'] }],
  indexes: [
    { name: 'alert_incidents_opened_at_index', properties: ['openedAt', 'id'] },
    // What judging and waking ask of a group's incidents must not grow with the group's past.
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

/** Everything that happened to an incident, in order. Append only. */
export const TimelineEntity = defineEntity({
  name: 'TimelineEntry',
  tableName: 'incident_timeline',
  properties: {
    id: p.bigint('number').primary().autoincrement(),
    incidentId: p.uuid().index('incident_timeline_incident_id_index'),
    at: p.datetime(3),
    /**
     * opened, acknowledged, comment, extended, resolved, reopened, merged, notice_sent, notice_failed,
     * notified_nobody …
     */
    kind: p.string().length(32),
    /** `rule`, `tocsin`, or a person's name. */
    actor: p.string().length(200),
    detail: p.json<Record<string, unknown>>(),
  },
});

/**
 * Something about an incident that people must hear of. Written with the change itself, in its transaction.
 */
export const NoticeEntity = defineEntity({
  name: 'Notice',
  tableName: 'notices',
  properties: {
    id: p.uuid().primary(),
    incidentId: p.uuid(),
    kind: p.string().length(16).$type<NoticeKind>(),
    at: p.datetime(3),
    /** Every channel has it, gave up on it, or there was none. */
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
    /** What the other side answered, without secrets. */
    detail: p.text(),
  },
  uniques: [{ name: 'deliveries_attempt_unique', properties: ['noticeId', 'channel', 'attempt'] }],
});
export type Delivery = InferEntity<typeof DeliveryEntity>;
