import type { Sql } from '../../db/orm.ts';
import { admitGroups, countOverflow } from '../../db/queries/events/append.ts';
import { knownPlaceOf, placeOf } from '../../domain/rules/admission.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import type { CountedRule, RuleSet } from './rule-set.ts';
import { GroupTally } from './tally.ts';

/**
 * What an append found out about groups of a rule. The next append may use it only after this one has
 * committed.
 */
export interface Learned {
  rule: CountedRule;
  admitted: string[];
  /** True if there was no room for further groups. */
  full: boolean;
}

/**
 * Decides for each group with events whether it is admitted under its rule's limit. The events of the others
 * are counted in the rule's overflow group.
 */
export async function admit(
  db: Sql,
  groups: readonly GroupTally[],
  slot: number,
): Promise<{ groups: GroupTally[]; learned: Learned[] }> {
  const placed: GroupTally[] = [];
  const overflowing = new Map<string, GroupTally>();
  const unknown = new Map<CountedRule, GroupTally[]>();
  for (const tally of groups) {
    const { rule, group } = tally;
    const known = knownPlaceOf(group, rule.known);
    if (known === OVERFLOW_GROUP) overflowing.set(rule.id, tally);
    else if (known !== null) placed.push(tally);
    else {
      const same = unknown.get(rule);
      if (same) same.push(tally);
      else unknown.set(rule, [tally]);
    }
  }
  const learned = await askFor(db, unknown);
  for (const { rule, admitted } of learned) {
    const found = new Set(admitted);
    for (const tally of unknown.get(rule)!) {
      if (placeOf(tally.group, found) !== OVERFLOW_GROUP) placed.push(tally);
      else {
        const overflow = overflowing.get(rule.id) ?? new GroupTally(rule, OVERFLOW_GROUP);
        overflowing.set(rule.id, overflow);
        overflow.addAll(tally);
      }
    }
  }
  if (overflowing.size > 0) {
    const events = [...overflowing].map(([id, overflow]): [string, number] => [id, overflow.events]);
    await countOverflow(db, slot, new Map(events));
    placed.push(...overflowing.values());
  }
  return { groups: placed, learned };
}

async function askFor(db: Sql, unknown: ReadonlyMap<CountedRule, readonly GroupTally[]>): Promise<Learned[]> {
  if (unknown.size === 0) return [];
  const wanted = [...unknown].flatMap(([{ id, maxGroups, groupsFrom }, tallies]) =>
    tallies.map(({ group }) => ({
      ...{ rule_id: id, group_key: group, max_groups: maxGroups, groups_from: groupsFrom },
    })),
  );
  const admitted = Map.groupBy(await admitGroups(db, wanted), ({ rule_id }) => rule_id);
  return [...unknown].map(([rule, tallies]) => {
    const keys = (admitted.get(rule.id) ?? []).map(({ group_key }) => group_key);
    return { rule, admitted: keys, full: keys.length < tallies.length };
  });
}

/** Remembers what a committed append found out. */
export function learn(rules: RuleSet, learned: readonly Learned[]): void {
  for (const { rule, admitted, full } of learned) rules.learn(rule, admitted, full);
}
