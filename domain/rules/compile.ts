import type { Event } from '../events/event.ts';
import { compileGroupKey } from './group.ts';
import { compileMatchers, type Matcher, type Predicate } from './matcher.ts';
import { type RuleDefinition, type RuleSettings, windowSpecOf } from './rule.ts';

/** Which events a rule counts and in which group, ready to be asked about events. */
export interface Selection {
  /** The only event type it counts; null for any. */
  eventType: string | null;
  matches: Predicate;
  groupKey: (event: Event) => string;
  /** Events older than this on arrival are not counted, in milliseconds. */
  latenessMs: number;
  maxGroups: number;
}

/** A definition ready to be asked about events. */
export interface CompiledRule extends Selection {
  bucketMs: number;
}

/** @throws MatcherError */
export function compileRule(definition: RuleDefinition): CompiledRule {
  return { ...compileSelection(definition), bucketMs: windowSpecOf(definition).bucketMs };
}

/** @throws MatcherError */
export function compileSelection(settings: RuleSettings): Selection {
  return {
    eventType: settings.event_type,
    matches: compileMatchers(matchersOf(settings)),
    groupKey: compileGroupKey(settings.group_by),
    latenessMs: settings.allowed_lateness_seconds * 1000,
    // The only group of a rule that doesn't group always has a place.
    maxGroups: settings.group_by.length === 0 ? 1 : settings.max_groups,
  };
}

/** The equality filters are matchers like any other. */
function matchersOf({ event_type, severity, match }: RuleSettings): Matcher[] {
  const filters: Matcher[] = [];
  if (event_type !== null) filters.push({ field: 'event_type', op: '=', value: event_type });
  if (severity !== null) filters.push({ field: 'severity', op: '=', value: severity });
  return [...filters, ...match];
}

/** Whether a rule counts an event that arrives at `now` (epoch ms). */
export const countsOnArrival = ({ latenessMs, matches }: Selection, event: Event, now: number): boolean =>
  now - event.occurred_at <= latenessMs && matches(event);
