import { sql } from 'kysely';
import type { Sql } from '../../orm.ts';
import { LAYERS_OF_V } from './layers.ts';

/**
 * The end of an insert into pending_evaluations as p: an existing row is widened by the new range. It gets a
 * new generation, so that a judge which read it before does not delete it.
 */
export const mergePending = sql`
  on conflict (rule_id, revision, group_key, late) do update
    set from_at = least(p.from_at, excluded.from_at), to_at = greatest(p.to_at, excluded.to_at),
      generation = p.generation + 1`;

/**
 * Converts outbox rows into pending evaluations of the groups whose state may change, in one atomic
 * statement.
 *
 * Which groups may change? A group that fires or is pending, and gets events after its `since`, only
 * continues; its deadline finds that out. Any other group may change only if the buckets that its touched
 * windows reach have enough events; their sum is at least the count of any of those windows. Events among
 * incidents that have ended may prolong one; for these the recovery threshold is enough.
 *
 * Reads take no locks: an evaluation that changes a group's state looks again after its commit, so nothing is
 * missed (docs/adr/0004). Rules and groups are looked up one by one, which is why there are limits of 1: a
 * join would read all of them, 5 ms with 1,000 rules instead of 1.4.
 * @param ids only these rows; null for all that are older than `olderThanMs`
 * @returns rules with a new pending evaluation
 */
export async function takeOutbox(db: Sql, ids: readonly string[] | null, olderThanMs = 0): Promise<string[]> {
  const chosen = ids
    ? sql`id = any(${ids}::bigint[])`
    : sql`created_at <= now() - ${olderThanMs}::double precision * interval '1 millisecond'`;
  const { rows } = await sql<{ rule_id: string }>`
    with taken as (
      delete from wake_outbox where ctid = any(array(
        select ctid from wake_outbox where ${chosen} order by id limit 1000 for update skip locked))
      returning touched
    ), touched as (
      select r as rule_id, v as revision, g as group_key, l as late, min(f) as from_at, max(t) as to_at
      from taken, jsonb_to_recordset(taken.touched) as x(r uuid, v int, g text, l boolean, f bigint, t bigint)
      group by r, v, g, l
    ), candidates as (
      select t.* from touched t
      cross join lateral (
        select * from rule_versions v where v.rule_id = t.rule_id and v.revision = t.revision and not v.settled limit 1) v
      left join lateral (
        select * from rule_groups g where g.rule_id = t.rule_id and g.group_key = t.group_key limit 1) g on true
      where not v.ready or (
        (g.state is null or g.state = 'ok' or t.from_at < g.since)
        and (
          select sum(c.n) from window_counts c
          where c.rule_id = t.rule_id and c.revision = ${LAYERS_OF_V} and c.group_key = t.group_key
            and c.bucket >= (t.from_at - v.window_ms - v.bucket_ms)::bigint
            and c.bucket <= (t.to_at + v.window_ms)::bigint
        ) >= case when (
          select coalesce(i.ended_at, 'infinity'::timestamptz) from alert_incidents i
          where i.rule_id = t.rule_id and i.group_key = t.group_key and i.merged_into is null
          order by coalesce(i.ended_at, 'infinity'::timestamptz) desc limit 1
        ) >= to_timestamp((t.from_at - 1000 * (v.definition->>'keep_firing_seconds')::float8) / 1000) then least(v.threshold, coalesce((v.definition->>'recovery_threshold')::int, v.threshold)) else v.threshold end
      )
      order by 1, 2, 3, 4
    ), noted as (
      insert into pending_evaluations as p (rule_id, revision, group_key, late, from_at, to_at)
      select * from candidates
      ${mergePending}
      returning rule_id, xmax = 0 as fresh
    )
    select distinct rule_id from noted where fresh`.execute(db);
  return rows.map(({ rule_id }) => rule_id);
}

/**
 * Notes groups whose deadline has come as pending evaluations: for pending groups by the clock, for firing
 * ones by the watermark. An existing evaluation of another revision does not count, because it may have come
 * after that revision was settled. Times in epoch milliseconds.
 * @returns rules with a new pending evaluation
 */
export async function takeDue(
  db: Sql,
  { now, watermark }: { now: number; watermark: number },
): Promise<string[]> {
  const { rows } = await sql<{ rule_id: string }>`
    with due as (
      select g.rule_id, v.revision, g.group_key, g.next_due,
        case when g.state = 'pending' then least(g.since, g.next_due) else g.next_due end as from_at
      from rule_groups g
      join rule_versions v on v.rule_id = g.rule_id and v.superseded_at is null and v.enabled
      where g.next_due <= ${now}::bigint and (g.state = 'pending' or g.next_due <= ${watermark}::bigint)
        and not exists (
          select from pending_evaluations p
          where p.rule_id = g.rule_id and p.revision = v.revision and p.group_key = g.group_key)
      order by g.next_due limit 2000
      for update of g skip locked
    ), noted as (
      insert into pending_evaluations as p (rule_id, revision, group_key, late, from_at, to_at)
      select d.rule_id, d.revision, d.group_key, false, d.from_at, d.next_due
      from due d
      order by 1, 2, 3
      ${mergePending}
      returning rule_id, xmax = 0 as fresh
    )
    select distinct rule_id from noted where fresh`.execute(db);
  return rows.map(({ rule_id }) => rule_id);
}

/**
 * Finds rules whose pending evaluations have waited longer than `olderThanMs` since the last signal, and
 * marks them as signalled now. Deferred groups are not signalled before their time. Evaluations of removed or
 * settled revisions, which a late waker wrote, are deleted.
 */
export async function takeUnanswered(db: Sql, olderThanMs: number): Promise<string[]> {
  const stale = sql`signalled_at <= now() - ${olderThanMs}::double precision * interval '1 millisecond'
    and (retry_at is null or retry_at <= now())`;
  await sql`
    delete from pending_evaluations p where ${stale} and not exists (
      select from rule_versions v where v.rule_id = p.rule_id and v.revision = p.revision and not v.settled)`.execute(
    db,
  );
  const { rows } = await sql<{ rule_id: string }>`
    with stale as (
      update pending_evaluations set signalled_at = now()
      where ctid in (select ctid from pending_evaluations where ${stale} limit 1000 for update skip locked)
      returning rule_id
    )
    select distinct rule_id from stale`.execute(db);
  return rows.map(({ rule_id }) => rule_id);
}
