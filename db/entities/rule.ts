import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { RuleDefinition } from '../../domain/rules/rule.ts';

/** An alert rule, as people edit it. Only the API writes it. */
export const AlertRuleEntity = defineEntity({
  name: 'AlertRule',
  tableName: 'alert_rules',
  properties: {
    id: p.uuid().primary(),
    name: p.string().length(200),
    enabled: p.boolean(),
    /** What the rule counts, and when it fires. */
    definition: p.json<RuleDefinition>(),
    /** `notify`: late incidents are sent to the channels like others; `record`: they are only stored. */
    late: p.string().length(16).$type<'notify' | 'record'>(),
    incidentSeverity: p.string().length(32).nullable(),
    labels: p.json<Record<string, string>>(),
    annotations: p.json<Record<string, string>>(),
    sample: p.boolean().default(false),
    /** Increases with every change of `definition` or `enabled`. */
    revision: p.integer(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    /**
     * When the rule was deleted. The row stays until its last revision is settled; the API no longer shows
     * it.
     */
    deletedAt: p.datetime(3).nullable(),
  },
});
export type AlertRule = InferEntity<typeof AlertRuleEntity>;

/**
 * A revision of a rule, in force from `effectiveAt` on. `snapshot` divides the work: the backfill counts the
 * events that were visible in it, appends count the others.
 *
 * If a revision has the same measure as the one before, it takes over `snapshot` and `countedFrom` and
 * continues with the same counts.
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
     * The start of the window at `effectiveAt`, or of a longer window that an earlier revision had. The
     * backfill does not count events before it.
     */
    countedFrom: p.datetime(3),
    windowMs: p.double(),
    bucketMs: p.double(),
    threshold: p.integer(),
    /** True once the backfill is done. */
    ready: p.boolean().default(false),
    /** The last event that the backfill has counted; null before the first. */
    countedTo: p.datetime(3).nullable(),
    countedToId: p.uuid().nullable(),
    /** The revision reads the layers of counts from this number up to its own. Null: only its own. */
    firstLayer: p.integer().nullable(),
    /**
     * The revision that introduced the current `group_by`. Groups of earlier revisions do not count towards
     * the limit.
     */
    groupsFrom: p.integer().default(0),
    /**
     * True while housekeeping removes idle groups of the rule. Appending processes must then not cache which
     * groups are admitted.
     */
    forgetting: p.boolean().default(false),
    /** When a later revision replaced it; null for the one in force. */
    supersededAt: p.datetime(3).nullable(),
    /**
     * True once its successor judges. Groups that could not be judged are retried until the revision is
     * settled.
     */
    handedOver: p.boolean().default(false),
    /** The successor's snapshot, once there is a successor. */
    untilSnapshot: p.text().nullable(),
    /** True once everything up to `supersededAt` is judged. */
    settled: p.boolean().default(false),
  },
});
