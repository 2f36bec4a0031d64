import { sql } from 'kysely';
import { OVERFLOW_GROUP } from '../../../domain/rules/group.ts';
import type { Sql } from '../../orm.ts';
import { ALERT, type ReceivedAlertRow } from './writes.ts';

/** The overflow group as a literal. With a parameter, PostgreSQL could not use the partial index. */
const OVERFLOW = sql.lit(OVERFLOW_GROUP);

/**
 * The columns of an alert without its texts. The overflow group does not show them, and they may be many
 * kilobytes each.
 */
const OVERFLOW_ALERT = sql`a.rule_id, a.key, a.group_key, '{}'::jsonb as labels, '{}'::jsonb as annotations, a.severity, '' as summary,
  null as generator_url, a.starts_at::float8 as starts_at, a.ends_at::float8 as ends_at, a.ends,
  a.not_before::float8 as not_before, null::float8 as acknowledged_at, null as acknowledged_by,
  a.updated_at::float8 as updated_at, '{}'::jsonb as senders`;

/** How many alerts of the overflow group are read to find one that is still active. */
const OVERFLOW_LOOKED_AT = 50;

/**
 * Says until when the rule's overflow group is certainly active: until the end of one of its alerts that
 * began before `from`, was not resolved, and lasts past `watermark`. Null if none of the newest alerts does.
 * The newest are read because their senders are least likely to have stopped. Epoch ms.
 */
export async function overflowHolds(
  db: Sql,
  ruleId: string,
  { from, watermark }: { from: number; watermark: number },
): Promise<number | null> {
  const { rows } = await sql<{ holds_to: number | null }>`
    select max(ends_at)::float8 as holds_to from (
      select ends_at from received_alerts
      where rule_id = ${ruleId} and group_key = ${OVERFLOW} and ends <> 'resolved' and starts_at < ${Math.floor(from)}::bigint
      order by starts_at desc limit ${OVERFLOW_LOOKED_AT}) a
    where ends_at > ${Math.floor(watermark)}::bigint`.execute(db);
  return rows[0]!.holds_to;
}

/**
 * Reads the episodes of the groups' alerts that end at or after each group's `from` (epoch ms). The latest
 * ones are locked until this transaction ends, so that an alert's texts change either before it is judged or
 * after its incident is stored. Alerts of the overflow group are not locked, because its incident has texts
 * of its own. `past` episodes are over for good.
 */
export async function episodesOnRecord(
  db: Sql,
  ruleId: string,
  groups: readonly { group_key: string; from: number }[],
): Promise<ReceivedAlertRow[]> {
  const own = groups.filter(({ group_key }) => group_key !== OVERFLOW_GROUP);
  const latest = await ownOnRecord(db, ruleId, own, { table: 'received_alerts', held: true });
  const past = await ownOnRecord(db, ruleId, own, { table: 'past_received_alerts', held: false });
  const overflow = groups.find(({ group_key }) => group_key === OVERFLOW_GROUP);
  const crowded = overflow ? await overflowOnRecord(db, ruleId, overflow.from) : [];
  return [...latest, ...past, ...crowded];
}

/**
 * Reads alerts that are groups of their own. They are looked up group by group, in the order in which
 * receivers lock them (`offset 0`). As a join, PostgreSQL read all of the rule's alerts for a few groups:
 * 3,300 blocks with 10,000 alerts.
 */
async function ownOnRecord(
  db: Sql,
  ruleId: string,
  groups: readonly { group_key: string; from: number }[],
  { table, held }: { table: string; held: boolean },
): Promise<ReceivedAlertRow[]> {
  if (groups.length === 0) return [];
  const { rows } = await sql<ReceivedAlertRow>`
    select x.* from (
      select * from jsonb_to_recordset(${JSON.stringify(groups)}::jsonb) as w(group_key text, "from" float8) order by group_key
    ) g cross join lateral (
      select ${ALERT} from ${sql.table(table)} a
      where a.rule_id = ${ruleId} and a.group_key = g.group_key and a.ends_at >= g."from"
      offset 0 ${held ? sql`for share of a` : sql``}
    ) x`.execute(db);
  return rows;
}

async function overflowOnRecord(db: Sql, ruleId: string, from: number): Promise<ReceivedAlertRow[]> {
  const table = (name: string) => sql`
    select ${OVERFLOW_ALERT} from ${sql.table(name)} a
    where a.rule_id = ${ruleId} and a.group_key = ${OVERFLOW} and a.ends_at >= ${Math.floor(from)}::bigint`;
  const { rows } = await sql<ReceivedAlertRow>`
    ${table('received_alerts')} union all ${table('past_received_alerts')}`.execute(db);
  return rows;
}

/**
 * Moves the deadlines of groups whose alerts were only refreshed, because a refresh needs no judging. A
 * refresh writes only its alert, so this runs once for many of them, and no workflow is signalled.
 * `watermark`: epoch ms.
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

/**
 * Finds groups with an alert that ends after `at` (epoch ms). A revision that comes into force must judge
 * them.
 */
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

/** Moves alerts to the overflow group if their rule has no room for more groups. */
export async function moveToOverflow(
  db: Sql,
  ruleId: string,
  groupKeys: readonly string[],
  into: string,
): Promise<void> {
  await sql`
    update received_alerts set group_key = ${into}
    where rule_id = ${ruleId} and group_key = any(${groupKeys}::text[])`.execute(db);
}
