import { type Condition, kindOf } from './kinds/index.ts';
import type { ShortForm } from './kinds/kind.ts';
import type { Matcher } from './matcher.ts';
import { bucketMsOf } from './window.ts';

/** What a rule has besides its condition. Both decide what the rule counts and when it fires. */
export interface RuleSettings {
  /** Equality filters, as in the reference; null means any. */
  event_type: string | null;
  severity: string | null;
  match: Matcher[];
  /** Paths whose values split the rule into groups, each judged on its own. */
  group_by: string[];
  /** The condition must hold this long without a break before the rule fires. */
  for_seconds: number;
  /** The rule goes on firing this long after its condition stopped. */
  keep_firing_seconds: number;
  /** While firing, it goes on until fewer than this many events are in the window. Null: the threshold. */
  recovery_threshold: number | null;
  /** An event older than this on arrival is stored but no longer judged by this rule. */
  allowed_lateness_seconds: number;
  /** Groups beyond this many share one overflow group. */
  max_groups: number;
}

/**
 * Everything of a rule that decides what it counts and when it fires. A change of it is a new revision.
 */
export interface RuleDefinition extends RuleSettings {
  condition: Condition;
}

/** The settings of a rule that gives nothing but its condition. */
export const RULE_DEFAULTS: RuleSettings = {
  event_type: null,
  severity: null,
  match: [],
  group_by: [],
  for_seconds: 0,
  keep_firing_seconds: 0,
  recovery_threshold: null,
  allowed_lateness_seconds: 3600,
  max_groups: 1000,
};

/** The numbers that judging needs, in milliseconds. */
export interface WindowSpec {
  windowMs: number;
  bucketMs: number;
  threshold: number;
  /** At least this many keep a firing rule firing. Never above `threshold`. */
  recovery: number;
  forMs: number;
  keepFiringMs: number;
}

/**
 * The window numbers of a definition. One that counts no events has a window of 0, and appends pass over it.
 */
export function windowSpecOf(rule: RuleDefinition): WindowSpec {
  const kind = kindOf(rule.condition);
  const windowMs = kind.windowMs(rule.condition);
  const threshold = kind.shortForm(rule.condition).threshold_count;
  return {
    windowMs,
    bucketMs: bucketMsOf(windowMs),
    threshold,
    recovery: Math.min(rule.recovery_threshold ?? threshold, threshold),
    forMs: rule.for_seconds * 1000,
    keepFiringMs: rule.keep_firing_seconds * 1000,
  };
}

/** A rule's window and threshold, as the reference's API shows them. */
export function shortFormOf({ condition }: Pick<RuleDefinition, 'condition'>): ShortForm {
  return kindOf(condition).shortForm(condition);
}

/** Whether appends count events for the rule. */
export function readsEvents({ condition }: Pick<RuleDefinition, 'condition'>): boolean {
  return kindOf(condition).reads === 'events';
}
