import type { Sql } from '../../db/orm.ts';
import {
  admittedGroups,
  type RuleInForce,
  rulesChanged,
  rulesInForce,
} from '../../db/queries/events/append.ts';
import type { Event } from '../../domain/events/event.ts';
import { type KnownGroups, placeOf } from '../../domain/rules/admission.ts';
import { type CompiledRule, compileRule, countsOnArrival } from '../../domain/rules/compile.ts';
import { GroupTally } from './tally.ts';

/** A rule in force, in the form that appends use. */
export interface CountedRule extends CompiledRule {
  id: string;
  revision: number;
  /** The revision that brought its `group_by`. */
  groupsFrom: number;
  /** Null while idle groups are being removed. Then each append asks the database. */
  known: KnownGroups | null;
}

/** Compiles a rule in force. @throws MatcherError */
export function countedRule({
  rule_id,
  revision,
  definition,
  groups_from,
  forgetting = false,
}: RuleInForce & { forgetting?: boolean }): CountedRule {
  return {
    ...compileRule(definition),
    id: rule_id,
    revision,
    groupsFrom: groups_from,
    known: forgetting ? null : { admitted: new Set(), state: 'room' },
  };
}

/** How many groups of all rules a process remembers together; each takes about 100 bytes. */
const MOST_KNOWN = 1_000_000;

/**
 * The enabled rules at one version of the rule set. Rules are found by the event type that they count, so an
 * event is compared only with rules of its type. The cost grows with the number of matching rules, not of all
 * rules. A change of one rule reads only that rule.
 */
export class RuleSet {
  #version: number;
  readonly #rules = new Map<string, CountedRule>();
  readonly #byType = new Map<string, Map<string, CountedRule>>();
  readonly #anyType = new Map<string, CountedRule>();
  /** Rules that were full, so that their groups must be read. */
  readonly #full = new Set<CountedRule>();
  #known = 0;

  constructor(version: number, rules: readonly CountedRule[]) {
    this.#version = version;
    for (const rule of rules) this.#add(rule);
  }

  get version(): number {
    return this.#version;
  }

  /** The rule with this id; undefined if it is not enabled. */
  rule(id: string): CountedRule | undefined {
    return this.#rules.get(id);
  }

  /**
   * Updates to a later version by reading the rules that changed. Appends that used the earlier version have
   * ended, because a change waits for them.
   */
  async update(db: Sql, version: number): Promise<void> {
    const changed = this.#version === 0 ? null : await rulesChanged(db, this.#version, version);
    const inForce = await rulesInForce(db, changed);
    // Another append may have updated already, to the same or a later version.
    if (version <= this.#version) return;
    for (const id of changed ?? [...this.#rules.keys()]) this.#remove(id);
    for (const rule of inForce) this.#add(countedRule(rule));
    this.#version = version;
  }

  /** Reads the admitted groups of full rules. Events of other groups then need no query. */
  async completeFull(db: Sql): Promise<void> {
    for (const rule of this.#full) {
      this.#full.delete(rule);
      const { known } = rule;
      if (!known || this.#known + rule.maxGroups > MOST_KNOWN) continue;
      const groups = await admittedGroups(db, rule.id, rule.groupsFrom);
      if (this.#rules.get(rule.id) !== rule) continue;
      this.#known += groups.length - known.admitted.size;
      for (const key of groups) known.admitted.add(key);
      known.state = 'complete';
    }
  }

  /**
   * Remembers what a committed append found out about groups of a rule. The rule may have changed since; then
   * it is ignored.
   */
  learn(rule: CountedRule, admitted: readonly string[], full: boolean): void {
    const { known } = rule;
    if (!known || this.#rules.get(rule.id) !== rule) return;
    const before = known.admitted.size;
    for (const key of admitted) known.admitted.add(key);
    this.#known += known.admitted.size - before;
    if (full && known.state === 'room') {
      known.state = 'full';
      this.#full.add(rule);
    }
    if (this.#known > MOST_KNOWN) this.#forgetKnown();
  }

  /**
   * Computes what these events, arriving at `now` (epoch ms), add to each group of each rule that counts some
   * of them.
   */
  matchAll(events: readonly Event[], now: number): GroupTally[] {
    const groups: GroupTally[] = [];
    for (const [type, same] of Map.groupBy(events, ({ event_type }) => event_type)) {
      for (const rule of this.#byType.get(type)?.values() ?? []) count(rule, same, now, groups);
    }
    for (const rule of this.#anyType.values()) count(rule, events, now, groups);
    return groups;
  }

  #add(rule: CountedRule): void {
    this.#rules.set(rule.id, rule);
    if (rule.eventType === null) this.#anyType.set(rule.id, rule);
    else {
      const same = this.#byType.get(rule.eventType);
      if (same) same.set(rule.id, rule);
      else this.#byType.set(rule.eventType, new Map([[rule.id, rule]]));
    }
  }

  #remove(id: string): void {
    const rule = this.#rules.get(id);
    if (!rule) return;
    this.#rules.delete(id);
    this.#full.delete(rule);
    this.#known -= rule.known?.admitted.size ?? 0;
    if (rule.eventType === null) this.#anyType.delete(id);
    else {
      const same = this.#byType.get(rule.eventType)!;
      same.delete(id);
      if (same.size === 0) this.#byType.delete(rule.eventType);
    }
  }

  #forgetKnown(): void {
    for (const { known } of this.#rules.values()) {
      known?.admitted.clear();
      if (known) known.state = 'room';
    }
    this.#full.clear();
    this.#known = 0;
  }
}

/** Rule by rule and not event by event, so that for each further rule an event costs only an addition. */
function count(rule: CountedRule, events: readonly Event[], now: number, into: GroupTally[]): void {
  const groups = new Map<string, GroupTally>();
  const { known } = rule;
  const full = known?.state === 'complete';
  for (const event of events) {
    if (!countsOnArrival(rule, event, now)) continue;
    let key = rule.groupKey(event);
    // In a full rule, events of groups without a place are counted together, so that nothing is kept for each
    // of them.
    if (full) key = placeOf(key, known.admitted);
    let group = groups.get(key);
    if (!group) {
      group = new GroupTally(rule, key);
      groups.set(key, group);
      into.push(group);
    }
    group.add(event.occurred_at, now);
  }
}
