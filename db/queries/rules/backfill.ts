import { sql } from 'kysely';
import type { Event } from '../../../domain/events/event.ts';
import { OVERFLOW_GROUP } from '../../../domain/rules/group.ts';
import { countToAdd, keepsTimes } from '../../../domain/rules/kept-times.ts';
import { windowSpecOf } from '../../../domain/rules/rule.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';
import { payloadOf, type Version } from './judging.ts';
import { ADD_COUNT, FULL_ROWS } from './kept-times.ts';

/** The slot in which backfills and removals count. Appends use 0 to 31. */
export const BACKFILL_SLOT = 32;

/** The last event that a backfill has counted; null before the first. */
export type Position = { occurred_at: number; event_id: string } | null;

/** A count to be added: group, bucket, and the times of its events. Epoch ms. */
export interface Cell {
  group_key: string;
  bucket: number;
  times: number[];
}

/** The largest page, in bytes of stored payloads. A single event may be larger. */
const PAGE_BYTES = 8_000_000;

/**
 * Reads the next page of events that were stored when the revision came into force and lie in its window, in
 * the order of time and id. It is empty at the end. It must be called in a transaction of its own.
 *
 * The order is that of an index, so a page costs only what it contains. PostgreSQL must not sort instead: if
 * its statistics say that a day has few events, it would read and sort all remaining ones for every page. A
 * page is limited in bytes, because payloads may be large.
 */
export async function eventsToBackfill(
  db: Sql,
  { definition, snapshot, counted_from }: Version,
  after: Position,
  limit: number,
): Promise<Event[]> {
  const { event_type, severity } = definition;
  await sql`
    select set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true),
      set_config('enable_bitmapscan', 'off', true)`.execute(db);
  // The name is qualified: unqualified, `order by` would mean the output column, which has no index.
  const { rows } = await sql<Event>`
    select event_id, occurred_at, source_id, severity, event_type, payload from (
      select e.event_id, ${ms('e.occurred_at')} as occurred_at, e.source_id, e.severity, e.event_type, e.payload,
        sum(pg_column_size(e.payload)) over (
          order by e.occurred_at, e.event_id rows between unbounded preceding and 1 preceding) as before
      from (
        select events.event_id, events.occurred_at, source_id, severity, event_type, ${payloadOf(definition)}
        from events
        where events.occurred_at >= ${instant(after?.occurred_at ?? counted_from)}
          ${after === null ? sql`` : sql`and (events.occurred_at, events.event_id) > (${instant(after.occurred_at)}, ${after.event_id}::uuid)`}
          ${event_type === null ? sql`` : sql`and event_type = ${event_type}`}
          ${severity === null ? sql`` : sql`and severity = ${severity}`}
          and pg_visible_in_snapshot(xid, ${snapshot}::pg_snapshot)
        order by events.occurred_at, events.event_id limit ${limit}
      ) e
    ) page where before is null or before < ${PAGE_BYTES}`.execute(db);
  return rows;
}

/**
 * Reads the position of a revision's backfill. Null if there is nothing to count: the revision is ready,
 * superseded, or gone.
 */
export async function backfillPosition(
  db: Sql,
  { rule_id, revision }: Version,
): Promise<{ position: Position } | null> {
  return positionOf(db, sql`rule_id = ${rule_id} and revision = ${revision}`);
}

/**
 * Like `backfillPosition`, but locks the revision until this transaction ends. Until then no other process
 * can count for it, supersede it or remove it.
 */
export async function holdBackfill(
  db: Sql,
  { rule_id, revision }: Version,
): Promise<{ position: Position } | null> {
  return positionOf(db, sql`rule_id = ${rule_id} and revision = ${revision} for no key update`);
}

async function positionOf(db: Sql, which: ReturnType<typeof sql>): Promise<{ position: Position } | null> {
  const { rows } = await sql<{ counting: boolean; occurred_at: number | null; event_id: string | null }>`
    select enabled and not ready and superseded_at is null as counting,
      ${ms('counted_to')} as occurred_at, counted_to_id as event_id
    from rule_versions where ${which}`.execute(db);
  const [row] = rows;
  if (!row?.counting) return null;
  const { occurred_at, event_id } = row;
  return { position: occurred_at === null || event_id === null ? null : { occurred_at, event_id } };
}

/** Adds counts up to a position. After a crash the backfill continues from there. */
export async function addBackfilled(
  db: Sql,
  { rule_id, revision, definition }: Version,
  cells: readonly Cell[],
  { occurred_at, event_id }: NonNullable<Position>,
): Promise<void> {
  const keep = keepsTimes(windowSpecOf(definition).bucketMs);
  const counts: unknown[] = [];
  const times: unknown[] = [];
  for (const { group_key, bucket, times: at } of cells) {
    const { count, rows } = countToAdd(at, bucket, keep);
    counts.push({ group_key, bucket, ...count });
    for (const row of rows) times.push({ group_key, bucket, ...row });
  }
  await sql`
    with counted as (
      insert into window_counts as c (rule_id, revision, group_key, bucket, slot, n, moved, times)
      select ${rule_id}::uuid, ${revision}::int, group_key, bucket, ${BACKFILL_SLOT}, n, coalesce(moved, 0), times
      from jsonb_to_recordset(${JSON.stringify(counts)}::jsonb) as x(
        group_key text, bucket bigint, n int, moved int, times bytea)
      ${sql.raw(ADD_COUNT)}
    )
    insert into window_times (rule_id, revision, group_key, bucket, first, last, times)
    ${sql.raw(FULL_ROWS)}
    union all
    select ${rule_id}::uuid, ${revision}::int, group_key, bucket, first, last, times
    from jsonb_to_recordset(${JSON.stringify(times)}::jsonb) as x(
      group_key text, bucket bigint, first int, last int, times bytea)`.execute(db);
  await sql`
    update rule_versions set counted_to = ${instant(occurred_at)}, counted_to_id = ${event_id}::uuid
    where rule_id = ${rule_id} and revision = ${revision}`.execute(db);
}

/** Says which of these groups are admitted. */
export async function admittedOf(
  db: Sql,
  { rule_id, groups_from }: Version,
  keys: readonly string[],
): Promise<string[]> {
  const { rows } = await sql<{ group_key: string }>`
    select group_key from rule_groups
    where rule_id = ${rule_id} and groups_from >= ${groups_from} and group_key = any(${keys}::text[])`.execute(
    db,
  );
  return rows.map(({ group_key }) => group_key);
}

/**
 * Reads a rule's groups after a key, in order, without the overflow group. A page costs only what it
 * contains.
 */
export async function groupsOf(
  db: Sql,
  ruleId: string,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ group_key: string }>`
    select group_key from rule_groups
    where rule_id = ${ruleId} and group_key <> ${OVERFLOW_GROUP}
      ${after === null ? sql`` : sql`and group_key > ${after}`}
    order by group_key limit ${limit}`.execute(db);
  return rows.map(({ group_key }) => group_key);
}

/** Marks the revision as ready to be judged, if it is still in force. */
export async function markReady(db: Sql, { rule_id, revision }: Version): Promise<void> {
  await sql`
    update rule_versions set ready = true
    where rule_id = ${rule_id} and revision = ${revision} and superseded_at is null`.execute(db);
}
