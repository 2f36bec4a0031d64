import type { Event } from '../events/event.ts';
import { compileGroupKey } from './group.ts';
import { compileMatchers, type Matcher, type Predicate } from './matcher.ts';
import { type RuleDefinition, type RuleSettings, windowSpecOf } from './rule.ts';

/** Which events a rule counts and in which group, ready to be asked about events. */
export interface Selection {
  /** The only event type that it counts; null for all types. */
  eventType: string | null;
  matches: Predicate;
  groupKey: (event: Event) => string;
  /** Events that are older than this on arrival are not counted, in milliseconds. */
  latenessMs: number;
  maxGroups: number;
}

/** A rule's definition, compiled to be compared with events. */
export interface CompiledRule extends Selection {
  bucketMs: number;
}

/** Compiles a rule. @throws MatcherError */
export function compileRule(definition: RuleDefinition): CompiledRule {
  return { ...compileSelection(definition), bucketMs: windowSpecOf(definition).bucketMs };
}

/** Compiles a rule. @throws MatcherError */
export function compileSelection(settings: RuleSettings): Selection {
  return {
    eventType: settings.event_type,
    matches: compileMatchers(matchersOf(settings)),
    groupKey: compileGroupKey(settings.group_by),
    latenessMs: settings.allowed_lateness_seconds * 1000,
    // A rule without `group_by` has one group, which is always admitted.
    maxGroups: settings.group_by.length === 0 ? 1 : settings.max_groups,
  };
}

/** The rule's matchers, including its equality filters. */
function matchersOf({ event_type, severity, match }: RuleSettings): Matcher[] {
  const filters: Matcher[] = [];
  if (event_type !== null) filters.push({ field: 'event_type', op: '=', value: event_type });
  if (severity !== null) filters.push({ field: 'severity', op: '=', value: severity });
  return [...filters, ...match];
}

/** Says whether a rule counts an event that arrives at `now` (epoch ms). */
export const countsOnArrival = ({ latenessMs, matches }: Selection, event: Event, now: number): boolean =>
  now - event.occurred_at <= latenessMs && matches(event);
