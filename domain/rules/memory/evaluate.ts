import type { Event } from '../../events/event.ts';
import { placeOf } from '../admission.ts';
import { compileSelection, countsOnArrival } from '../compile.ts';
import { conditionsOf, type Judged, judge } from '../episodes.ts';
import { horizonOf } from '../finality.ts';
import type { RuleSettings } from '../rule.ts';
import type { Interval, MemoryCondition } from './kind.ts';

/** An event, and when it arrived (epoch ms). */
export interface Arrival {
  event: Event;
  received_at: number;
}

/** The input of an evaluation in memory. Times are epoch milliseconds. */
export interface Heard {
  /** In the order in which they were stored: it decides which groups are admitted. */
  arrivals: Iterable<Arrival>;
  deaf?: readonly Interval[];
  clock: number;
  watermark: number;
}

/**
 * Evaluates a rule from events alone, for tests and backtests. Selection, lateness and the limit of groups
 * are decided by the same functions as in production.
 * @returns what was judged, by group
 * @throws MatcherError
 */
export function evaluateInMemory<V>(
  settings: RuleSettings,
  condition: MemoryCondition<V>,
  { arrivals, deaf = [], clock, watermark }: Heard,
): Map<string, Judged> {
  const timers = { forMs: settings.for_seconds * 1000, keepFiringMs: settings.keep_firing_seconds * 1000 };
  const horizon = horizonOf(condition, clock, watermark);
  const result = new Map<string, Judged>();
  for (const [group, events] of eventsByGroup(settings, arrivals)) {
    const conditions = conditionsOf(condition.seriesOf(events, deaf), condition.tests);
    // A group exists from its first event on.
    const at = events.reduce((first, { occurred_at }) => Math.min(first, occurred_at), Infinity);
    result.set(group, judge(conditions, timers, { at, firing: null }, horizon));
  }
  return result;
}

/** The events that the rule counts, by the group that they count in. */
function eventsByGroup(settings: RuleSettings, arrivals: Iterable<Arrival>): Map<string, Event[]> {
  const selection = compileSelection(settings);
  const admitted = new Set<string>();
  const groups = new Map<string, Event[]>();
  for (const { event, received_at } of arrivals) {
    if (!countsOnArrival(selection, event, received_at)) continue;
    const group = selection.groupKey(event);
    if (admitted.size < selection.maxGroups) admitted.add(group);
    const place = placeOf(group, admitted);
    const events = groups.get(place);
    if (events) events.push(event);
    else groups.set(place, [event]);
  }
  return groups;
}
