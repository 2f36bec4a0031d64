import { sql } from 'kysely';
import type { Sql } from '../orm.ts';
import { ALERT, type AlertRow } from './received-writes.ts';

/**
 * Episodes of the groups' alerts that end at or after each group's `from` (epoch ms). The latest ones are held until this
 * transaction ends: an alert is reworded either before it is judged, or once its incident is on record. `past` ones are over for good.
 */
export async function episodesOnRecord(
  db: Sql,
  ruleId: string,
  groups: readonly { group_key: string; from: number }[],
): Promise<AlertRow[]> {
  const wanted = sql`jsonb_to_recordset(${JSON.stringify(groups)}::jsonb) as g(group_key text, "from" float8)`;
  const latest = await sql<AlertRow>`
    select ${ALERT} from received_alerts a join ${wanted} using (group_key)
    where a.rule_id = ${ruleId} and a.ends_at >= g."from" order by a.key for share of a`.execute(db);
  const past = await sql<AlertRow>`
    select ${ALERT} from past_received_alerts a join ${wanted} using (group_key)
    where a.rule_id = ${ruleId} and a.ends_at >= g."from"`.execute(db);
  return [...latest.rows, ...past.rows];
}

/**
 * Moves the deadlines of groups whose alerts were sent again: nothing of them is to be judged. A refresh writes its alert alone, so
 * this comes once for several of them, and no workflow hears of it. `watermark` in epoch ms.
 */
export async function rearmRefreshed(db: Sql, watermark: number): Promise<void> {
  await sql`
    with refreshed as (
      select g.rule_id, g.group_key, (
        select max(a.ends_at) from received_alerts a
        where a.rule_id = g.rule_id and a.group_key = g.group_key and a.starts_at <= ${watermark}::bigint
      ) as ends_at
      from rule_groups g
      join rule_versions v on v.rule_id = g.rule_id and v.superseded_at is null and v.enabled
        and v.definition->'condition'->>'kind' = 'received'
      where g.state = 'firing' and g.deferred_from is null and g.next_due <= ${watermark}::bigint
        and not exists (
          select from pending_evaluations p
          where p.rule_id = g.rule_id and p.revision = v.revision and p.group_key = g.group_key)
      order by g.rule_id, g.group_key for update of g skip locked
    )
    update rule_groups g set next_due = r.ends_at from refreshed r
    where g.rule_id = r.rule_id and g.group_key = r.group_key and r.ends_at > ${watermark}::bigint`.execute(
    db,
  );
}

/** Groups with an alert that ends after `at` (epoch ms): what a revision that comes into force then has to judge. */
export async function groupsAfter(
  db: Sql,
  ruleId: string,
  at: number,
): Promise<{ group_key: string; from_at: number; to_at: number }[]> {
  const { rows } = await sql<{ group_key: string; from_at: number; to_at: number }>`
    select group_key, min(starts_at)::float8 as from_at, max(starts_at)::float8 as to_at from received_alerts
    where rule_id = ${ruleId} and ends_at > ${Math.floor(at)}::bigint group by group_key order by group_key`.execute(
    db,
  );
  return rows;
}

/** Folds alerts into the overflow group for which there is no more room. */
export async function foldAlerts(
  db: Sql,
  ruleId: string,
  groupKeys: readonly string[],
  into: string,
): Promise<void> {
  await sql`
    update received_alerts set group_key = ${into}
    where rule_id = ${ruleId} and group_key = any(${groupKeys}::text[])`.execute(db);
}
