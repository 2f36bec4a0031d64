import type { Flaw } from './kinds/kind.ts';
import { RULE_DEFAULTS, type RuleDefinition, readsEvents, shortFormOf, windowSpecOf } from './rule.ts';

/**
 * How many buckets one group of a rule may need at a time. Judging one late event may have to read all of
 * them.
 */
export const MAX_BUCKETS = 100_000;

/** The fields that decide how far back a rule may look. */
const REACHING = [
  'window_seconds',
  'allowed_lateness_seconds',
  'for_seconds',
  'keep_firing_seconds',
] as const;

/**
 * How far before the present a rule may look at events, in milliseconds. An event may be as late as the rule
 * allows. It touches windows that began up to one window before it, and judging begins `for` or `keep_firing`
 * before those.
 */
export function reachMs(definition: RuleDefinition): number {
  const { windowMs, forMs, keepFiringMs } = windowSpecOf(definition);
  return windowMs + definition.allowed_lateness_seconds * 1000 + forMs + keepFiringMs;
}

/**
 * Checks the sum of a rule's times: the events that judging reads must still be stored, and their number of
 * buckets must be limited.
 */
export function flawsOfReach(definition: RuleDefinition, retentionMs: number): Flaw[] {
  if (!readsEvents(definition)) return [];
  const reach = reachMs(definition);
  const { window_seconds } = shortFormOf(definition);
  const of = { ...definition, window_seconds };
  if (reach > retentionMs) {
    const [longest] = REACHING.toSorted((a, b) => of[b] - of[a]);
    const sum = `${REACHING.join(' + ')} is ${reach / 1000} s`;
    return [{ field: longest!, reason: `${sum}, longer than events are kept (${retentionMs / 1000} s)` }];
  }
  const { bucketMs } = windowSpecOf(definition);
  if (reach > MAX_BUCKETS * bucketMs) {
    const most = Math.floor((MAX_BUCKETS * bucketMs) / 1000);
    const sum = `${REACHING.join(' + ')} is ${reach / 1000} s`;
    const [longest] = REACHING.slice(1).toSorted((a, b) => of[b] - of[a]);
    const reason = `${sum}, and with a window of ${window_seconds} s at most ${most} s: counts are kept by ${bucketMs} ms`;
    return [{ field: longest!, reason }];
  }
  return [];
}

/**
 * The lateness of a new rule that sets none: the usual one, or what the other times leave of the retention.
 */
export function defaultLateness(rest: RuleDefinition, retentionMs: number): number {
  const left = Math.floor((retentionMs - reachMs({ ...rest, allowed_lateness_seconds: 0 })) / 1000);
  return Math.max(0, Math.min(RULE_DEFAULTS.allowed_lateness_seconds, left));
}
