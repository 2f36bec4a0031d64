import type { Event } from '../events/event.ts';
import { compileGroupKey } from './group.ts';
import { compileMatchers, type Matcher, type Predicate } from './matcher.ts';
import { type RuleDefinition, windowSpecOf } from './rule.ts';

/** A definition ready to be asked about events. */
export interface CompiledRule {
  /** The only event type it counts; null for any. */
  eventType: string | null;
  matches: Predicate;
  groupKey: (event: Event) => string;
  bucketMs: number;
  /** Events older than this on arrival are not counted, in milliseconds. */
  latenessMs: number;
  maxGroups: number;
}

/** @throws MatcherError */
export function compileRule(definition: RuleDefinition): CompiledRule {
  return {
    eventType: definition.event_type,
    matches: compileMatchers(matchersOf(definition)),
    groupKey: compileGroupKey(definition.group_by),
    bucketMs: windowSpecOf(definition).bucketMs,
    latenessMs: definition.allowed_lateness_seconds * 1000,
    // The only group of a rule that doesn't group always has a place.
    maxGroups: definition.group_by.length === 0 ? 1 : definition.max_groups,
  };
}

/** The equality filters are matchers like any other. */
function matchersOf({ event_type, severity, match }: RuleDefinition): Matcher[] {
  const filters: Matcher[] = [];
  if (event_type !== null) filters.push({ field: 'event_type', op: '=', value: event_type });
  if (severity !== null) filters.push({ field: 'severity', op: '=', value: severity });
  return [...filters, ...match];
}

/** Whether a rule counts an event that arrives at `now` (epoch ms). */
export const countsOnArrival = ({ latenessMs, matches }: CompiledRule, event: Event, now: number): boolean =>
  now - event.occurred_at <= latenessMs && matches(event);
