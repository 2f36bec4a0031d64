import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { type RuleDefinition, windowSpecOf } from './rule.ts';

/**
 * The most layers of counts that a revision reads. Each makes reading a group dearer, so the edit after that
 * has the window counted again.
 */
export const MOST_LAYERS = 32;

/**
 * The identity of what a definition counts: which events, in which groups, in buckets of which width. Equal
 * for definitions whose counts are the same, so an edit that keeps it need not count again. Null if the
 * definition counts no events.
 *
 * Lateness is part of it, because it decides which late events are counted, and so is the cap, because it
 * decides which events are counted in the overflow group.
 */
export function measureOf(definition: RuleDefinition): string | null {
  const { condition, event_type, severity, match, group_by, allowed_lateness_seconds, max_groups } =
    definition;
  const { windowMs, bucketMs } = windowSpecOf(definition);
  if (windowMs === 0) return null;
  const measure = {
    ...{ fold: condition.kind, bucket_ms: bucketMs, group_by, allowed_lateness_seconds },
    // All matchers must match, whatever their order.
    ...{ event_type, severity, match: match.map(canonicalJson).sort() },
    // A rule without `group_by` has one group, which always has a place.
    max_groups: group_by.length === 0 ? null : max_groups,
  };
  return createHash('sha256').update(canonicalJson(measure)).digest('hex');
}

/**
 * Whether a definition finds all that it counts among the counts of the one before. These reach back one
 * window of theirs, so the new window must not be longer: windows of up to a minute all have buckets of a
 * second, and so may have the same measure.
 */
export function keepsMeasure(before: RuleDefinition, after: RuleDefinition): boolean {
  const measure = measureOf(after);
  if (measure === null || measure !== measureOf(before)) return false;
  return windowSpecOf(after).windowMs <= windowSpecOf(before).windowMs;
}
