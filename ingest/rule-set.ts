import type { Sql } from '../db/orm.ts';
import { definitions, type RuleInForce, revisionsInForce } from '../db/queries/append.ts';
import type { Event } from '../domain/event.ts';
import { compileGroupKey } from '../domain/group.ts';
import { compileMatchers, type Matcher, type Predicate } from '../domain/matcher.ts';
import type { RuleDefinition } from '../domain/rule.ts';
import { windowSpecOf } from '../domain/rule.ts';
import { GroupTally } from './tally.ts';

/** A rule ready to be asked about events. */
export interface CompiledRule {
  id: string;
  revision: number;
  /** The only event type it counts; null for any. */
  eventType: string | null;
  matches: Predicate;
  groupKey: (event: Event) => string;
  bucketMs: number;
  /** Events older than this on arrival are not counted, in milliseconds. */
  latenessMs: number;
  maxGroups: number;
}

/** The equality filters are matchers like any other. */
function matchersOf({ event_type, severity, match }: RuleDefinition): Matcher[] {
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
    eventType: definition.event_type,
    matches: compileMatchers(matchersOf(definition)),
    groupKey: compileGroupKey(definition.group_by),
    bucketMs: windowSpecOf(definition).bucketMs,
    latenessMs: definition.allowed_lateness_seconds * 1000,
    // The only group of a rule that doesn't group always has a place.
    maxGroups: definition.group_by.length === 0 ? 1 : definition.max_groups,
  };
}

/**
 * The enabled rules at one version of the rule set. Rules are found by the event type they ask for, so that an event is
 * never compared with rules of other types: cost follows matches, not rules.
 */
export class RuleSet {
  readonly version: number;
  readonly #rules = new Map<string, CompiledRule>();
  readonly #byType = new Map<string, CompiledRule[]>();
  readonly #anyType: CompiledRule[] = [];
  /** Groups known to be admitted or refused. Both hold for this version only. */
  readonly admitted = new Set<string>();
  readonly refused = new Set<string>();

  constructor(version: number, rules: readonly CompiledRule[]) {
    this.version = version;
    for (const rule of rules) {
      this.#rules.set(revisionKey(rule.id, rule.revision), rule);
      if (rule.eventType === null) this.#anyType.push(rule);
      else {
        const same = this.#byType.get(rule.eventType);
        if (same) same.push(rule);
        else this.#byType.set(rule.eventType, [rule]);
      }
    }
  }

  /** Reads the rules of a version, compiling only revisions that the version before didn't have. */
  static async load(db: Sql, version: number, before: RuleSet): Promise<RuleSet> {
    const inForce = await revisionsInForce(db);
    const unknown = inForce.filter(
      ({ rule_id, revision }) => !before.#rules.has(revisionKey(rule_id, revision)),
    );
    const compiled = new Map(
      (await definitions(db, unknown)).map((rule) => [
        revisionKey(rule.rule_id, rule.revision),
        compileRule(rule),
      ]),
    );
    const rules = inForce.map(({ rule_id, revision }) => {
      const key = revisionKey(rule_id, revision);
      return before.#rules.get(key) ?? compiled.get(key)!;
    });
    return new RuleSet(version, rules);
  }

  /** What events, which arrive at `now` (epoch ms), add to each group of each rule that counts some of them. */
  matchAll(events: readonly Event[], now: number): GroupTally[] {
    const groups: GroupTally[] = [];
    for (const [type, same] of Map.groupBy(events, ({ event_type }) => event_type)) {
      for (const rule of this.#byType.get(type) ?? []) count(rule, same, now, groups);
    }
    for (const rule of this.#anyType) count(rule, events, now, groups);
    return groups;
  }
}

/** Rule by rule, and not event by event: what an event costs more for each rule that counts it is an addition. */
function count(rule: CompiledRule, events: readonly Event[], now: number, into: GroupTally[]): void {
  const groups = new Map<string, GroupTally>();
  for (const event of events) {
    if (now - event.occurred_at > rule.latenessMs || !rule.matches(event)) continue;
    const key = rule.groupKey(event);
    let group = groups.get(key);
    if (!group) {
      group = new GroupTally(rule, key);
      groups.set(key, group);
      into.push(group);
    }
    group.add(event.occurred_at, now);
  }
}

const revisionKey = (ruleId: string, revision: number) => `${ruleId} ${revision}`;
