import type { ReceivingProtocol } from '../received-alerts/alert.ts';
import type { Matcher } from './matcher.ts';

/** When the rule holds for a group. */
export type Condition = CountCondition | ReceivedCondition;

export interface CountCondition {
  kind: 'count';
  /** Holds at t while at least this many matched events lie in [t − window, t], both ends in. */
  threshold_count: number;
  window_seconds: number;
}

/**
 * Holds while somebody outside says so: each alert received by the protocol is a group. Only built-in rules
 * have it.
 */
export interface ReceivedCondition {
  kind: 'received';
  protocol: ReceivingProtocol;
}

/** Everything of a rule that decides what it counts and when it fires. A change of it is a new revision. */
export interface RuleDefinition {
  condition: Condition;
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

/** What a rule has that says nothing but its condition. */
export const RULE_DEFAULTS: Omit<RuleDefinition, 'condition'> = {
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

/** Bucket width for incremental counts: a sixtieth of the window, at least a second. */
export function bucketMsOf(windowMs: number): number {
  return Math.max(1000, Math.ceil(windowMs / 60));
}

/**
 * A condition in the reference's two numbers: one alert is enough, and the shortest window stands for none.
 */
export function countOf(condition: Condition): { threshold_count: number; window_seconds: number } {
  if (condition.kind === 'received') return { threshold_count: 1, window_seconds: 1 };
  const { threshold_count, window_seconds } = condition;
  return { threshold_count, window_seconds };
}

/**
 * The window numbers of a definition. One that counts no events has a window of 0, and appends pass over it.
 */
export function windowSpecOf(rule: RuleDefinition): WindowSpec {
  const counted = rule.condition.kind === 'count' ? rule.condition : null;
  const windowMs = (counted?.window_seconds ?? 0) * 1000;
  const threshold = counted?.threshold_count ?? 1;
  return {
    windowMs,
    bucketMs: bucketMsOf(windowMs),
    threshold,
    recovery: Math.min(rule.recovery_threshold ?? threshold, threshold),
    forMs: rule.for_seconds * 1000,
    keepFiringMs: rule.keep_firing_seconds * 1000,
  };
}
