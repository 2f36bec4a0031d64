import type { Event } from '../domain/event.ts';
import { compileGroupKey } from '../domain/group.ts';
import { compileMatchers, type Matcher, type Predicate } from '../domain/matcher.ts';
import type { RuleDefinition } from '../domain/rule.ts';
import { windowSpecOf } from '../domain/rule.ts';

/** A rule in force, as `rule_versions` has it. */
export interface RuleInForce {
  rule_id: string;
  revision: number;
  definition: RuleDefinition;
}

/** A rule ready to be asked about events. */
export interface CompiledRule {
  id: string;
  revision: number;
  matches: Predicate;
  groupKey: (event: Event) => string;
  bucketMs: number;
  /** Events older than this on arrival are not counted, in milliseconds. */
  latenessMs: number;
  maxGroups: number;
}

/** The equality filters are matchers like any other. */
export function matchersOf({ event_type, severity, match }: RuleDefinition): Matcher[] {
  const filters: Matcher[] = [];
  if (event_type !== null) filters.push({ field: 'event_type', op: '=', value: event_type });
  if (severity !== null) filters.push({ field: 'severity', op: '=', value: severity });
  return [...filters, ...match];
}

/** @throws MatcherError */
export function compileRule({ rule_id, revision, definition }: RuleInForce): CompiledRule {
  return {
    id: rule_id,
    revision,
    matches: compileMatchers(matchersOf(definition)),
    groupKey: compileGroupKey(definition.group_by),
    bucketMs: windowSpecOf(definition).bucketMs,
    latenessMs: definition.allowed_lateness_seconds * 1000,
    maxGroups: definition.max_groups,
  };
}

/**
 * The enabled rules at one version of the rule set. Rules are found by the event type they ask for, so that an event is
 * never compared with rules of other types: cost follows matches, not rules.
 */
export class RuleSet {
  readonly version: number;
  readonly #byType = new Map<string, CompiledRule[]>();
  readonly #anyType: CompiledRule[] = [];
  /** Groups known to be admitted, and rules known to be full. Both hold for this version only. */
  readonly admitted = new Set<string>();
  readonly full = new Set<string>();

  constructor(version: number, rules: readonly RuleInForce[]) {
    this.version = version;
    for (const rule of rules) {
      const type = rule.definition.event_type;
      if (type === null) this.#anyType.push(compileRule(rule));
      else {
        const same = this.#byType.get(type);
        if (same) same.push(compileRule(rule));
        else this.#byType.set(type, [compileRule(rule)]);
      }
    }
  }

  /** The rules that count this event, which arrives at `now` (epoch ms). */
  matching(event: Event, now: number): CompiledRule[] {
    const counts = (rule: CompiledRule) => now - event.occurred_at <= rule.latenessMs && rule.matches(event);
    const typed = this.#byType.get(event.event_type)?.filter(counts) ?? [];
    return this.#anyType.length === 0 ? typed : [...typed, ...this.#anyType.filter(counts)];
  }
}
