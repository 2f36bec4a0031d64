import { sql } from 'kysely';
import { type AlertRule, AlertRuleEntity } from '../../entities/rule.ts';
import { type Orm, sqlOf } from '../../orm.ts';

/** The progress of a rule's counting. */
export interface RuleProgress {
  /** True if the backfill of its current revision is done. */
  ready: boolean;
  /** How many events were counted in the overflow group. */
  overflow: number;
}

/** Lists all rules that are not deleted, newest first. */
export async function listRules(orm: Orm): Promise<AlertRule[]> {
  return orm.em
    .fork()
    .find(AlertRuleEntity, { deletedAt: null }, { orderBy: { createdAt: 'desc', id: 'desc' } });
}

/** Finds a rule; null if there is none or it is deleted. */
export async function findRule(orm: Orm, id: string): Promise<AlertRule | null> {
  return orm.em.fork().findOne(AlertRuleEntity, { id, deletedAt: null });
}

/** The progress of each of these rules, by id. */
export async function ruleProgress(orm: Orm, ids: readonly string[]): Promise<Map<string, RuleProgress>> {
  const { rows } = await sql<RuleProgress & { id: string }>`
    select r.id,
      coalesce(v.ready, false) as ready,
      (select coalesce(sum(o.events), 0)::float8 from rule_overflow o where o.rule_id = r.id) as overflow
    from alert_rules r
    left join rule_versions v on v.rule_id = r.id and v.revision = r.revision
    where r.id = any(${ids}::uuid[])`.execute(sqlOf(orm));
  return new Map(rows.map(({ id, ready, overflow }) => [id, { ready, overflow }]));
}
