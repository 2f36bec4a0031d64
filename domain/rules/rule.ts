import { type Condition, kindOf } from './kinds/index.ts';
import type { ShortForm } from './kinds/kind.ts';
import type { Matcher } from './matcher.ts';
import { bucketMsOf } from './window.ts';

/** What a rule has besides its condition. Both decide what the rule counts and when it fires. */
export interface RuleSettings {
  /** Filters for equal values, as in the reference; null matches everything. */
  event_type: string | null;
  severity: string | null;
  match: Matcher[];
  /** Fields whose values divide events into groups. Each group is judged separately. */
  group_by: string[];
  /** The condition must hold this long without a break before the rule fires. */
  for_seconds: number;
  /** The rule keeps firing for this long after its condition ended. */
  keep_firing_seconds: number;
  /** A firing rule stops when fewer than this many events are in the window. Null: the threshold. */
  recovery_threshold: number | null;
  /** Events that are older than this on arrival are stored, but this rule does not judge them. */
  allowed_lateness_seconds: number;
  /** The rule watches this many groups. The events of all others count in one overflow group. */
  max_groups: number;
}

/** Everything that decides what a rule counts and when it fires. Changing it makes a new revision. */
export interface RuleDefinition extends RuleSettings {
  condition: Condition;
}

/** The settings of a rule for which only the condition was given. */
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

/** The numbers that judging uses, in milliseconds. */
export interface WindowSpec {
  windowMs: number;
  bucketMs: number;
  threshold: number;
  /**
   * While at least this many events are in the window, a firing rule keeps firing. Never above `threshold`.
   */
  recovery: number;
  forMs: number;
  keepFiringMs: number;
}

/** The numbers of a rule's window. A rule that counts no events has a window of 0, and appends ignore it. */
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

/** Says whether appends count events for the rule. */
export function readsEvents({ condition }: Pick<RuleDefinition, 'condition'>): boolean {
  return kindOf(condition).reads === 'events';
}
