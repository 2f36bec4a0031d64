import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { RuleDefinition } from '../../domain/rules/rule.ts';

/** An alert rule as people edit it. Only the API writes it. */
export const AlertRuleEntity = defineEntity({
  name: 'AlertRule',
  tableName: 'alert_rules',
  properties: {
    id: p.uuid().primary(),
    name: p.string().length(200),
    enabled: p.boolean(),
    /** What it counts and when it fires. */
    definition: p.json<RuleDefinition>(),
    /** `notify`: late incidents are notified as any other; `record`: they are only kept. */
    late: p.string().length(16).$type<'notify' | 'record'>(),
    incidentSeverity: p.string().length(32).nullable(),
    labels: p.json<Record<string, string>>(),
    annotations: p.json<Record<string, string>>(),
    sample: p.boolean().default(false),
    /** Counts up with every change of `definition` or `enabled`. */
    revision: p.integer(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    /** Deleted rules stay until what they opened is settled; the API no longer shows them. */
    deletedAt: p.datetime(3).nullable(),
  },
});
export type AlertRule = InferEntity<typeof AlertRuleEntity>;

/**
 * What a rule counted and judged by from `effectiveAt` on. `snapshot` divides the events between the
 * backfill, which counts what was visible in it, and the appends after it.
 */
export const RuleVersionEntity = defineEntity({
  name: 'RuleVersion',
  tableName: 'rule_versions',
  properties: {
    ruleId: p.uuid().primary(),
    revision: p.integer().primary(),
    definition: p.json<RuleDefinition>(),
    enabled: p.boolean(),
    effectiveAt: p.datetime(3),
    snapshot: p.text(),
    /**
     * The window reaches back to here at `effectiveAt`: older events that were visible then are not counted.
     */
    countedFrom: p.datetime(3),
    windowMs: p.double(),
    bucketMs: p.double(),
    threshold: p.integer(),
    /** The backfill is done. */
    ready: p.boolean().default(false),
    /** The last event that the backfill has counted; null before the first. */
    countedTo: p.datetime(3).nullable(),
    countedToId: p.uuid().nullable(),
    /** The revision that brought the present `group_by`: groups named by an earlier one don't count. */
    groupsFrom: p.integer().default(0),
    /**
     * Idle groups of the rule are being let go of: no appending process may remember which groups there are.
     */
    forgetting: p.boolean().default(false),
    /** When a later revision took over; null for the one in force. */
    supersededAt: p.datetime(3).nullable(),
    /** Its successor judges. Groups of it that could not be judged are tried again until it is settled. */
    handedOver: p.boolean().default(false),
    /** The successor's snapshot, once there is one. */
    untilSnapshot: p.text().nullable(),
    /** Everything up to `supersededAt` is judged. */
    settled: p.boolean().default(false),
  },
});
