import type { Sql } from '../../db/orm.ts';
import { admitGroups, countOverflow } from '../../db/queries/events/append.ts';
import { OVERFLOW_GROUP } from '../../domain/rules/group.ts';
import type { CompiledRule, RuleSet } from './rule-set.ts';
import { GroupTally } from './tally.ts';

/** What an append found out about groups of a rule. Only once it is committed may the next one believe it. */
export interface Learned {
  rule: CompiledRule;
  admitted: string[];
  /** There was no room for others. */
  full: boolean;
}

/**
 * Decides for every group that events fall into whether it is admitted under its rule's cap. The events of
 * those that are not fall into the rule's overflow group instead, and are counted there.
 */
export async function admit(
  db: Sql,
  groups: readonly GroupTally[],
  slot: number,
): Promise<{ groups: GroupTally[]; learned: Learned[] }> {
  const placed: GroupTally[] = [];
  const overflowing = new Map<string, GroupTally>();
  const unknown = new Map<CompiledRule, GroupTally[]>();
  for (const tally of groups) {
    const { rule, group } = tally;
    if (group === OVERFLOW_GROUP) overflowing.set(rule.id, tally);
    else if (rule.known?.admitted.has(group)) placed.push(tally);
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
      if (found.has(tally.group)) placed.push(tally);
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

async function askFor(
  db: Sql,
  unknown: ReadonlyMap<CompiledRule, readonly GroupTally[]>,
): Promise<Learned[]> {
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

/** Believes what a committed append learned. */
export function learn(rules: RuleSet, learned: readonly Learned[]): void {
  for (const { rule, admitted, full } of learned) rules.learn(rule, admitted, full);
}
