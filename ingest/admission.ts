import type { Sql } from '../db/orm.ts';
import { admitGroups, countOverflow } from '../db/queries/append.ts';
import { OVERFLOW_GROUP } from '../domain/group.ts';
import type { RuleSet } from './rule-set.ts';
import { GroupTally } from './tally.ts';

/** What an append found out about groups. Only once it is committed may the next one believe it. */
export interface Learned {
  admitted: string[];
  refused: string[];
}

/** Refused groups remembered at the most; a rule with endless groups must not fill the memory. */
const MOST_REFUSED = 100_000;

/**
 * Decides for every group that events fall into whether it is admitted under its rule's cap. The events of those that are not
 * fall into the rule's overflow group instead, and are counted there.
 */
export async function admit(
  db: Sql,
  rules: RuleSet,
  groups: readonly GroupTally[],
  slot: number,
): Promise<{ groups: GroupTally[]; learned: Learned }> {
  const unknown = groups.filter(({ rule, group }) => {
    const key = groupId(rule.id, group);
    return !rules.admitted.has(key) && !rules.refused.has(key);
  });
  const admitted = new Set<string>();
  if (unknown.length > 0) {
    const wanted = unknown.map(({ rule, group }) => ({
      rule_id: rule.id,
      group_key: group,
      max_groups: rule.maxGroups,
    }));
    for (const { rule_id, group_key } of await admitGroups(db, wanted)) {
      admitted.add(groupId(rule_id, group_key));
    }
  }
  const placed: GroupTally[] = [];
  const overflowing = new Map<string, GroupTally>();
  for (const tally of groups) {
    const { rule, group } = tally;
    const key = groupId(rule.id, group);
    if (rules.admitted.has(key) || admitted.has(key)) placed.push(tally);
    else {
      const overflow = overflowing.get(rule.id) ?? new GroupTally(rule, OVERFLOW_GROUP);
      overflowing.set(rule.id, overflow);
      overflow.merge(tally);
    }
  }
  if (overflowing.size > 0) {
    const events = [...overflowing].map(([id, overflow]): [string, number] => [id, overflow.events]);
    await countOverflow(db, slot, new Map(events));
    placed.push(...overflowing.values());
  }
  const refused = unknown
    .map(({ rule, group }) => groupId(rule.id, group))
    .filter((key) => !admitted.has(key));
  return { groups: placed, learned: { admitted: [...admitted], refused } };
}

/** Believes what a committed append learned. */
export function learn(rules: RuleSet, { admitted, refused }: Learned): void {
  for (const key of admitted) rules.admitted.add(key);
  if (rules.refused.size + refused.length > MOST_REFUSED) rules.refused.clear();
  for (const key of refused) rules.refused.add(key);
}

const groupId = (ruleId: string, groupKey: string) => `${ruleId} ${groupKey}`;
