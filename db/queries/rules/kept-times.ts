import { sql } from 'kysely';
import { MOST_BESIDE, TIME_BYTES } from '../../../domain/rules/kept-times.ts';
import type { Sql } from '../../orm.ts';
import type { Version } from './judging.ts';
import { layerNumbers, layersOf } from './layers.ts';

const FULL = MOST_BESIDE * TIME_BYTES;

/**
 * The end of an insert into window_counts as c: it adds a count and its times to an existing row. If the row
 * already has `MOST_BESIDE` times, it returns them, and `FULL_ROWS` makes a row of window_times from them. If
 * times are null (unknown), they stay null.
 */
export const ADD_COUNT = `
  on conflict (rule_id, revision, group_key, bucket, slot) do update set n = c.n + excluded.n,
    moved = c.moved + excluded.moved + case when length(c.times) >= ${FULL} then length(c.times) / ${TIME_BYTES} else 0 end,
    times = case when length(c.times) >= ${FULL} then excluded.times else excluded.times || c.times end
  returning new.rule_id, new.revision, new.group_key, new.bucket,
    case when length(old.times) >= ${FULL} then old.times end as full_times`;

/** The rows of window_times for the times that `ADD_COUNT` returned, in a query named `counted`. */
export const FULL_ROWS = `
  select rule_id, revision, group_key, bucket, first, last, full_times from counted
  cross join lateral (
    select min(substring(full_times from i for ${TIME_BYTES}))::int as first,
      max(substring(full_times from i for ${TIME_BYTES}))::int as last
    from generate_series(1, length(full_times), ${TIME_BYTES}) i
  ) ends
  where full_times is not null`;

/** A group's bucket, by its start; epoch ms. */
export interface GroupBucket {
  group_key: string;
  bucket: number;
}

/** What is stored about the times of a group's bucket, as bytes. */
export interface KeptBytes extends GroupBucket {
  /** How many events were counted. */
  n: number;
  /** True if times are kept for all counted events. If not, the events must be read. */
  complete: boolean;
  /** How many times were moved to rows of window_times. */
  moved: number;
  beside: Buffer;
  /** How many rows `firsts` comes from. If fewer than the limit, these are all rows. */
  rows: number;
  firsts: Buffer;
  /** Where the last row of `firsts` begins, as an offset from the bucket. */
  firsts_to: number;
  lasts: Buffer;
  /** How many rows `lasts` comes from. */
  lasts_rows: number;
  /** Where the row of `lasts` that ends first ends, as an offset from the bucket. */
  lasts_from: number;
}

/**
 * Reads the kept times of some buckets of groups. Of the rows of window_times it reads at most the `limit`
 * that begin first and the `limit` that end last.
 *
 * One statement reads counts and rows, so that times which an append moves meanwhile are read once.
 * @param newestTo if given, the last rows are those that begin by then, epoch ms
 */
export async function keptTimes(
  db: Sql,
  version: Version,
  wanted: readonly GroupBucket[],
  limit: number,
  newestTo?: number,
): Promise<KeptBytes[]> {
  const { rule_id } = version;
  const layers = layersOf(version);
  const bucket = sql`rule_id = ${rule_id} and group_key = w.group_key and bucket = w.bucket`;
  // Each layer is sorted by an index, but not all layers together.
  const ends = (order: ReturnType<typeof sql>, which = sql``) => sql`
    select t.first, t.last, t.times from unnest(${layerNumbers(version)}::int[]) layer cross join lateral (
      select first, last, times from window_times
      where ${bucket} and revision = layer ${which} order by ${order} limit ${limit}) t
    order by ${order} limit ${limit}`;
  const begun = newestTo === undefined ? sql`` : sql`and first <= ${newestTo}::bigint - w.bucket`;
  const { rows } = await sql<KeptBytes>`
    select w.group_key, w.bucket::float8 as bucket, coalesce(c.n, 0)::int as n, coalesce(c.complete, true) as complete,
      coalesce(c.moved, 0)::int as moved, coalesce(c.times, '') as beside,
      coalesce(f.rows, 0)::int as rows, coalesce(f.times, '') as firsts, coalesce(f.bound, 0) as firsts_to,
      coalesce(l.times, '') as lasts, coalesce(l.rows, 0)::int as lasts_rows, coalesce(l.bound, 0) as lasts_from
    from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as w(group_key text, bucket bigint)
    cross join lateral (
      select sum(n) as n, sum(moved) as moved, string_agg(times, '') as times,
        bool_and(times is not null and n = moved + length(times) / ${TIME_BYTES}::int) as complete
      from window_counts where ${bucket} and revision = ${layers} offset 0
    ) c
    left join lateral (
      select string_agg(times, '') as times, count(*) as rows, max(first) as bound
      from (${ends(sql`first`)}) x
    ) f on c.moved > 0
    left join lateral (
      select string_agg(times, '') as times, count(*) as rows, min(last) as bound
      from (${ends(sql`last desc`, begun)}) x
    ) l on c.moved > 0 and f.rows = ${limit}`.execute(db);
  return rows;
}

/**
 * Counts the kept times of a group's bucket in [from, to]; offsets from the bucket. It decodes only rows that
 * lie partly in the range.
 */
export async function countKept(
  db: Sql,
  version: Version,
  { group_key, bucket }: GroupBucket,
  { from, to }: { from: number; to: number },
): Promise<number> {
  const mine = sql`rule_id = ${version.rule_id} and revision = ${layersOf(version)}
    and group_key = ${group_key} and bucket = ${bucket}::bigint`;
  const within = sql`(
    select count(*) from generate_series(1, length(times), ${TIME_BYTES}::int) i
    where substring(times from i for ${TIME_BYTES}::int) between ${from}::int::bytea and ${to}::int::bytea)`;
  const { rows } = await sql<{ n: number }>`
    select (
      (select coalesce(sum(${within}), 0) from window_counts where ${mine})
      + (select coalesce(sum(case when first >= ${from}::int and last <= ${to}::int then length(times) / ${TIME_BYTES}::int
          when last < ${from}::int or first > ${to}::int then 0 else ${within} end), 0)
        from window_times where ${mine})
    )::float8 as n`.execute(db);
  return rows[0]!.n;
}
