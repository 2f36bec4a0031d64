import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { type RuleDefinition, windowSpecOf } from './rule.ts';

/**
 * How many layers of counts a revision may read. Each makes reading a group more expensive. After more edits
 * than this, the window is counted again.
 */
export const MOST_LAYERS = 32;

/**
 * Identifies what a definition counts: which events, in which groups, and in buckets of which width. If an
 * edit does not change it, the events need not be counted again. Null if the definition counts no events.
 *
 * Lateness is part of it, because it decides which late events are counted. So is the limit of groups,
 * because it decides which events count in the overflow group.
 */
export function measureOf(definition: RuleDefinition): string | null {
  const { condition, event_type, severity, match, group_by, allowed_lateness_seconds, max_groups } =
    definition;
  const { windowMs, bucketMs } = windowSpecOf(definition);
  if (windowMs === 0) return null;
  const measure = {
    ...{ kind: condition.kind, bucket_ms: bucketMs, group_by, allowed_lateness_seconds },
    // Sorted, because the order of matchers does not matter.
    ...{ event_type, severity, match: match.map(canonicalJson).sort() },
    // A rule without `group_by` has one group, which always has a place.
    max_groups: group_by.length === 0 ? null : max_groups,
  };
  return createHash('sha256').update(canonicalJson(measure)).digest('hex');
}

/**
 * Says whether the counts of the earlier definition contain everything that the new one needs. They reach
 * back one window, so the new window must not be longer. Windows of up to a minute all have buckets of a
 * second, and so may have the same measure.
 */
export function keepsMeasure(before: RuleDefinition, after: RuleDefinition): boolean {
  const measure = measureOf(after);
  if (measure === null || measure !== measureOf(before)) return false;
  return windowSpecOf(after).windowMs <= windowSpecOf(before).windowMs;
}
