import type { Sql } from '../db/orm.ts';
import { admitGroups, countOverflow } from '../db/queries/append.ts';
import { OVERFLOW_GROUP } from '../domain/group.ts';
import type { Match, RuleSet } from './rule-set.ts';

/** What an append found out about groups. Only once it is committed may the next one believe it. */
export interface Learned {
  admitted: string[];
  refused: string[];
}

/** Refused groups remembered at the most; a rule with endless groups must not fill the memory. */
const MOST_REFUSED = 100_000;

/**
 * Decides for every group that events fall into whether it is admitted under its rule's cap. Those that are not fall into
 * the rule's overflow group instead, and are counted there.
 */
export async function admit(
  db: Sql,
  rules: RuleSet,
  matches: Match[],
  slot: number,
): Promise<{ matches: Match[]; learned: Learned }> {
  const unknown = new Map<string, { rule_id: string; group_key: string; max_groups: number }>();
  for (const { rule, group } of matches) {
    const key = groupId(rule.id, group);
    if (rules.admitted.has(key) || rules.refused.has(key)) continue;
    unknown.set(key, { rule_id: rule.id, group_key: group, max_groups: rule.maxGroups });
  }
  const admitted = new Set<string>();
  if (unknown.size > 0) {
    for (const { rule_id, group_key } of await admitGroups(db, [...unknown.values()])) {
      admitted.add(groupId(rule_id, group_key));
    }
  }
  const overflow = new Map<string, number>();
  const placed = matches.map((match): Match => {
    const key = groupId(match.rule.id, match.group);
    if (rules.admitted.has(key) || admitted.has(key)) return match;
    overflow.set(match.rule.id, (overflow.get(match.rule.id) ?? 0) + 1);
    return { ...match, group: OVERFLOW_GROUP };
  });
  if (overflow.size > 0) await countOverflow(db, slot, overflow);
  const refused = [...unknown.keys()].filter((key) => !admitted.has(key));
  return { matches: placed, learned: { admitted: [...admitted], refused } };
}

/** Believes what a committed append learned. */
export function learn(rules: RuleSet, { admitted, refused }: Learned): void {
  for (const key of admitted) rules.admitted.add(key);
  if (rules.refused.size + refused.length > MOST_REFUSED) rules.refused.clear();
  for (const key of refused) rules.refused.add(key);
}

const groupId = (ruleId: string, groupKey: string) => `${ruleId} ${groupKey}`;
