import { LockMode } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { sql } from 'kysely';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { type RuleDefinition, readsEvents } from '../../../domain/rules/rule.ts';
import { type AlertRule, AlertRuleEntity } from '../../entities/rule.ts';
import { type Orm, type Sql, transaction } from '../../orm.ts';
import { newRevision } from './new-revision.ts';

/** A validated rule from a request. */
export interface RuleInput {
  name: string;
  enabled: boolean;
  definition: RuleDefinition;
  late: 'notify' | 'record';
  incident_severity: string | null;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  sample: boolean;
}

/** What happens to open incidents when a rule changes. */
export interface OpenIncidents {
  count: number;
  outcome:
    | 'unchanged'
    | 'go on if the new revision still fires for their group'
    | 'resolved: rule changed'
    | 'resolved: rule disabled'
    | 'resolved: rule deleted';
}

/** Stores a new rule with its first revision. `now`: epoch ms. */
export async function createRule(orm: Orm, input: RuleInput, now: number): Promise<AlertRule> {
  return transaction(orm, async (db, em) => {
    const at = new Date(now);
    const rule = em.create(AlertRuleEntity, {
      id: crypto.randomUUID(),
      name: input.name,
      enabled: input.enabled,
      definition: input.definition,
      late: input.late,
      incidentSeverity: input.incident_severity,
      labels: input.labels,
      annotations: input.annotations,
      sample: input.sample,
      revision: 1,
      createdAt: at,
      updatedAt: at,
      deletedAt: null,
    });
    await em.flush();
    await newRevision(db, em, rule, { now });
    return rule;
  });
}

/**
 * Changes a rule. If what it counts or when it fires changes, that is a new revision, in force from this
 * commit on. Other changes write only the rule's row.
 * @param patchOf makes the changes from the current rule, which is locked, so that concurrent changes do not
 * undo each other
 * @returns null if there is no such rule
 */
export async function updateRule(
  orm: Orm,
  id: string,
  patchOf: (rule: AlertRule) => Partial<RuleInput>,
  now: number,
): Promise<{ rule: AlertRule; open_incidents: OpenIncidents } | null> {
  return transaction(orm, async (db, em) => {
    const rule = await lockRule(em, id);
    if (!rule) return null;
    const patch = patchOf(rule);
    const before = { definition: rule.definition, enabled: rule.enabled };
    const judging = await lastReady(db, id);
    if (patch.name !== undefined) rule.name = patch.name;
    if (patch.enabled !== undefined) rule.enabled = patch.enabled;
    if (patch.definition !== undefined) rule.definition = patch.definition;
    if (patch.late !== undefined) rule.late = patch.late;
    if (patch.incident_severity !== undefined) rule.incidentSeverity = patch.incident_severity;
    if (patch.labels !== undefined) rule.labels = patch.labels;
    if (patch.annotations !== undefined) rule.annotations = patch.annotations;
    rule.updatedAt = new Date(now);
    const count = await openIncidents(db, id);
    const changed = rule.enabled !== before.enabled || !same(rule.definition, before.definition);
    if (!changed) return { rule, open_incidents: { count, outcome: 'unchanged' } };
    rule.revision++;
    await em.flush();
    await newRevision(db, em, rule, { now });
    return { rule, open_incidents: { count, outcome: outcomeOf(judging ?? before, rule) } };
  });
}

/**
 * Deletes a rule. From this commit on it neither counts nor judges. Its workflow then settles its revisions,
 * resolves its open incidents and removes the remaining rows. Incidents stay.
 * @returns null if there is no such rule
 */
export async function deleteRule(
  orm: Orm,
  id: string,
  now: number,
): Promise<{ open_incidents: OpenIncidents } | null> {
  return transaction(orm, async (db, em) => {
    const rule = await lockRule(em, id);
    if (!rule) return null;
    const count = await openIncidents(db, id);
    rule.enabled = false;
    rule.deletedAt = new Date(now);
    rule.revision++;
    await em.flush();
    await newRevision(db, em, rule, { now });
    return { open_incidents: { count, outcome: 'resolved: rule deleted' } };
  });
}

/**
 * Gives every enabled rule that counts a new, equal revision, so that it counts again. Needed after events
 * were removed.
 */
export async function recountRules(orm: Orm, now: number): Promise<string[]> {
  const ids = await transaction(orm, async (_db, em) =>
    (await em.find(AlertRuleEntity, { enabled: true, deletedAt: null }, { fields: ['id', 'definition'] }))
      .filter(({ definition }) => readsEvents(definition))
      .map(({ id }) => id),
  );
  for (const id of ids) {
    await transaction(orm, async (db, em) => {
      const rule = await lockRule(em, id);
      if (!rule?.enabled) return;
      rule.revision++;
      await em.flush();
      await newRevision(db, em, rule, { now, anew: true });
    });
  }
  return ids;
}

async function lockRule(em: SqlEntityManager, id: string): Promise<AlertRule | null> {
  return em.findOne(AlertRuleEntity, { id, deletedAt: null }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

async function openIncidents(db: Sql, ruleId: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from alert_incidents where rule_id = ${ruleId} and state <> 'resolved'`.execute(
    db,
  );
  return rows[0]!.n;
}

/**
 * The last revision that was ready. Open incidents belong to it until another one is ready. Null if there is
 * none.
 */
async function lastReady(db: Sql, ruleId: string): Promise<Judging | null> {
  const { rows } = await sql<Judging>`
    select definition, enabled from rule_versions
    where rule_id = ${ruleId} and ready order by revision desc limit 1`.execute(db);
  return rows[0] ?? null;
}

type Judging = Pick<AlertRule, 'definition' | 'enabled'>;

function outcomeOf(judging: Judging, rule: AlertRule): OpenIncidents['outcome'] {
  if (!rule.enabled || !judging.enabled) return 'resolved: rule disabled';
  if (!same(judging.definition.group_by, rule.definition.group_by)) return 'resolved: rule changed';
  return 'go on if the new revision still fires for their group';
}

/** Compares as data, whatever the order of keys, which jsonb changes. */
const same = (a: unknown, b: unknown) => canonicalJson(a) === canonicalJson(b);
