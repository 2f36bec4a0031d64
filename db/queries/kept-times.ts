import { sql } from 'kysely';
import { MOST_BESIDE, TIME_BYTES } from '../../domain/kept-times.ts';
import type { Sql } from '../orm.ts';
import type { Version } from './judging.ts';

const FULL = MOST_BESIDE * TIME_BYTES;

/**
 * Ends an insert into window_counts as c: adds a count and its times to the row that is there. Times that fill the row leave it
 * for a row of window_times, which `FULL_ROWS` makes of what this returns. Null, where times are missing, stays null.
 */
export const ADD_COUNT = `
  on conflict (rule_id, revision, group_key, bucket, slot) do update set n = c.n + excluded.n,
    moved = c.moved + excluded.moved + case when length(c.times) >= ${FULL} then length(c.times) / ${TIME_BYTES} else 0 end,
    times = case when length(c.times) >= ${FULL} then excluded.times else excluded.times || c.times end
  returning new.rule_id, new.revision, new.group_key, new.bucket,
    case when length(old.times) >= ${FULL} then old.times end as full_times`;

/** The rows of window_times that `ADD_COUNT`, as `counted`, asks for. */
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

/** What is kept of the times of a group's bucket, as bytes. */
export interface KeptBytes extends GroupBucket {
  /** Events counted. */
  n: number;
  /** Null where some time is missing: then only the events themselves tell. */
  times: Buffer | null;
}

/**
 * The times that are kept for some groups' buckets. They are used only if they are as many as the events counted: an append
 * that doesn't know of times leaves the count higher than their number for good.
 *
 * One statement reads counts and times, so what moves from one to the other meanwhile is read once.
 */
export async function keptTimes(
  db: Sql,
  { rule_id, revision }: Version,
  wanted: readonly GroupBucket[],
): Promise<KeptBytes[]> {
  const { rows } = await sql<KeptBytes>`
    select w.group_key, w.bucket::float8 as bucket, coalesce(c.n, 0)::int as n,
      case when coalesce(c.complete, true) and coalesce(c.moved, 0) = coalesce(length(m.times), 0) / ${TIME_BYTES}::int
        then coalesce(c.times, '') || coalesce(m.times, '') end as times
    from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as w(group_key text, bucket bigint)
    cross join lateral (
      select sum(n) as n, sum(moved) as moved, string_agg(times, '') as times,
        bool_and(times is not null and n = moved + length(times) / ${TIME_BYTES}::int) as complete
      from window_counts
      where rule_id = ${rule_id} and revision = ${revision} and group_key = w.group_key and bucket = w.bucket
      offset 0
    ) c
    left join lateral (
      select string_agg(times, '') as times from window_times
      where rule_id = ${rule_id} and revision = ${revision} and group_key = w.group_key and bucket = w.bucket
      offset 0
    ) m on c.moved > 0`.execute(db);
  return rows;
}
