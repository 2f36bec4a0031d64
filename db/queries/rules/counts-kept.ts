import { sql } from 'kysely';
import { DAY_MS } from '../../../domain/events/event.ts';
import { type Orm, type Sql, sqlOf } from '../../orm.ts';
import { partitionDays } from '../../partitions.ts';

/**
 * A revision with the layers of counts that it reads, and the time from which on it may still need them.
 * Epoch ms.
 */
export interface KeptCounts {
  rule_id: string;
  revision: number;
  first_layer: number;
  kept_from: number;
}

/** The counts of a rule that were made while one revision was in force. */
interface Layer {
  rule_id: string;
  layer: number;
}

/**
 * For each revision that still counts or judges: the time from which on it may need its counts. It is as far
 * back as the rule looks from now, or from the oldest time that is not judged yet. Disabled rules need none.
 * @param now epoch ms
 */
export async function countsKept(db: Sql, now: number): Promise<KeptCounts[]> {
  const { rows } = await sql<KeptCounts>`
    with waiting as (
      select rule_id, revision, min(from_at)::float8 as oldest from pending_evaluations group by rule_id, revision
    ), busy as (
      select rule_id, min(
        least(deferred_from, next_due, case when state = 'pending' then since end))::float8 as oldest
      from rule_groups where next_due is not null group by rule_id
    ), unwoken as (
      select (extract(epoch from min(created_at)) * 1000)::float8 as oldest from wake_outbox
    )
    select v.rule_id, v.revision, coalesce(v.first_layer, v.revision) as first_layer, least(
        ${now}::float8, u.oldest, w.oldest, b.oldest, extract(epoch from v.superseded_at) * 1000,
        case when v.ready then null else extract(epoch from v.effective_at) * 1000 end
      )::float8 - 2 * v.window_ms - v.bucket_ms - 1000 * (
        (v.definition->>'allowed_lateness_seconds')::float8 + (v.definition->>'for_seconds')::float8
        + (v.definition->>'keep_firing_seconds')::float8) as kept_from
    from rule_versions v cross join unwoken u
    left join waiting w using (rule_id, revision) left join busy b using (rule_id)
    where v.enabled and not v.settled and v.window_ms > 0`.execute(db);
  return rows;
}

/** The time from which on any rule may need counts; `now` if none does. Epoch ms. */
export async function oldestCountKept(db: Sql, now: number): Promise<number> {
  return (await countsKept(db, now)).reduce((oldest, { kept_from }) => Math.min(oldest, kept_from), now);
}

/** How many counts one statement deletes. */
const CHUNK = 5000;

/**
 * Deletes counts that their rule no longer needs, in partitions that stay because another rule looks further
 * back. Appends do not wait for it, because they count nothing that old.
 * @param clock epoch ms
 * @param progress called after each part of the work
 */
export async function trimCounts(orm: Orm, clock: () => number, progress: () => void): Promise<number> {
  const db = sqlOf(orm);
  let gone = 0;
  for (const { name, day, state } of await partitionDays(db, 'window_counts')) {
    if (state !== 'attached') continue;
    // The order matters: a revision made in between is not in this list, so its counts are kept.
    const present = await layersIn(db, name);
    const kept = Map.groupBy(await countsKept(db, clock()), ({ rule_id }) => rule_id);
    progress();
    for (const layer of present) {
      const readers = (kept.get(layer.rule_id) ?? []).filter(
        ({ first_layer, revision }) => first_layer <= layer.layer && layer.layer <= revision,
      );
      const before = Math.min(day + DAY_MS, ...readers.map(({ kept_from }) => kept_from));
      if (before > day) gone += await deleteCounts(db, layer, { from: day, before }, progress);
    }
  }
  return gone;
}

/** Finds the layers that have counts in a partition, one by one along its key. */
async function layersIn(db: Sql, partition: string): Promise<Layer[]> {
  const first = (after: ReturnType<typeof sql>) => sql`
    (select rule_id, revision from ${sql.table(partition)} ${after} order by rule_id, revision limit 1)`;
  const { rows } = await sql<Layer>`
    with recursive present as (
      ${first(sql``)}
      union all
      select n.rule_id, n.revision from present p
      cross join lateral ${first(sql`where (rule_id, revision) > (p.rule_id, p.revision)`)} n
    )
    select rule_id, revision as layer from present`.execute(db);
  return rows;
}

/**
 * Deletes a layer's counts in some buckets (epoch ms), a few at a time. Times are deleted before counts, so
 * that after a crash the remaining counts let the next round continue.
 */
async function deleteCounts(
  db: Sql,
  { rule_id, layer }: Layer,
  { from, before }: { from: number; before: number },
  progress: () => void,
): Promise<number> {
  const mine = sql`c.rule_id = ${rule_id} and c.revision = ${layer}
    and c.bucket >= ${Math.floor(from)}::bigint and c.bucket < ${Math.floor(before)}::bigint`;
  await deleteByKey(db, 'window_times', mine, 'first', progress);
  return deleteByKey(db, 'window_counts', mine, 'slot', progress);
}

/**
 * Rows are found by their key, so that PostgreSQL reads only where the revision has rows, even if its
 * statistics are wrong.
 */
async function deleteByKey(
  db: Sql,
  name: 'window_times' | 'window_counts',
  mine: ReturnType<typeof sql>,
  last: 'first' | 'slot',
  progress: () => void,
): Promise<number> {
  const [table, column] = [sql.table(name), sql.ref(last)];
  let gone = 0;
  for (;;) {
    const { numAffectedRows } = await sql`
      delete from ${table} c using (
        select c.group_key, c.bucket, c.${column} from ${table} c where ${mine} limit ${CHUNK} for update skip locked) x
      where ${mine} and c.group_key = x.group_key and c.bucket = x.bucket and c.${column} = x.${column}`.execute(
      db,
    );
    const deleted = Number(numAffectedRows ?? 0);
    gone += deleted;
    progress();
    if (deleted < CHUNK) return gone;
  }
}

/** All possible buckets. */
const ALL_TIME = { from: 0, before: Number.MAX_SAFE_INTEGER };

/**
 * Removes settled revisions in parts, with the layers of counts that no other revision reads. Such a layer
 * never gets a reader again, because a new revision reads the layers of the one in force, or only its own.
 */
export async function forgetSettled(
  orm: Orm,
  ruleId: string | null,
  progress: () => void = () => {},
): Promise<void> {
  const db = sqlOf(orm);
  const { rows } = await sql<{ rule_id: string; revision: number; unread: number[] }>`
    select rule_id, revision, array(
      select layer from generate_series(coalesce(first_layer, revision), revision) layer
      where not exists (
        select from rule_versions r
        where r.rule_id = v.rule_id and not r.settled
          and layer between coalesce(r.first_layer, r.revision) and r.revision)
    ) as unread
    from rule_versions v
    where settled ${ruleId === null ? sql`` : sql`and rule_id = ${ruleId}`} order by rule_id, revision`.execute(
    db,
  );
  for (const { rule_id, revision, unread } of rows) {
    progress();
    for (const layer of unread) await deleteCounts(db, { rule_id, layer }, ALL_TIME, progress);
    // Rows that another process has locked are skipped. The revision's row stays until all counts are gone,
    // so that a crash leaves nothing that nobody looks for.
    const left = (table: string) => sql`(
      select from ${sql.table(table)} c where c.rule_id = v.rule_id and c.revision = any(${unread}::int[]))`;
    await sql`
      delete from rule_versions v
      where rule_id = ${rule_id} and revision = ${revision} and settled
        and not exists ${left('window_times')} and not exists ${left('window_counts')}`.execute(db);
  }
}
