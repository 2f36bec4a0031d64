import { type RawBuilder, sql } from 'kysely';
import { type Orm, type Sql, transaction } from '../../orm.ts';
import { storableJson } from '../../storable.ts';
import { instant, ms } from '../../time.ts';

/** `event`: one item of a request that was read; `request`: all of it. */
export type RejectionKind = 'event' | 'request';

/** How often something was refused within an hour. `hour` is its start, epoch milliseconds. */
export interface RejectionCount {
  hour: number;
  route: string;
  reason: string;
  kind: RejectionKind;
  n: number;
}

/** One refusal, to be shown. `at`: epoch milliseconds. */
export interface Rejection {
  at: number;
  /** Id of the key that sent it. */
  key: string;
  key_name: string;
  /** The path template of the route. */
  route: string;
  kind: RejectionKind;
  status: number;
  reason: string;
  /** The wrong field of the item; empty for the whole item. */
  field: string;
  detail: string;
  /** The first characters of the item; null for a request that was not read. */
  item: string | null;
}

/** How many refusals are kept of each key. */
export const KEPT_OF_A_KEY = 20;

/**
 * Adds counts and stores refusals, and removes all but the latest refusals of each key, in one transaction.
 * Rows are sorted, and rows that another process is removing are skipped, so that two writers never deadlock.
 */
export async function keepRejections(
  orm: Orm,
  counts: readonly RejectionCount[],
  rejections: readonly Rejection[],
): Promise<void> {
  await transaction(orm, async (db) => {
    await sql`
      insert into rejection_counts as c (hour, route, reason, kind, n)
      select to_timestamp(hour / 1000), route, reason, kind, n
      from jsonb_to_recordset(${storableJson(counts)}::jsonb)
        as x(hour float8, route text, reason text, kind text, n bigint)
      order by 1, 2, 3, 4
      on conflict (hour, route, reason, kind) do update set n = c.n + excluded.n`.execute(db);
    if (rejections.length === 0) return;
    await sql`
      insert into rejections (at, key, key_name, route, kind, status, reason, field, detail, item)
      select to_timestamp(at / 1000), key, left(key_name, 200), route, kind, status, reason, left(field, 200),
        left(detail, 500), item
      from jsonb_to_recordset(${storableJson(rejections)}::jsonb)
        as x(at float8, key text, key_name text, route text, kind text, status int, reason text, field text,
          detail text, item text)
      order by at`.execute(db);
    const keys = [...new Set(rejections.map(({ key }) => key))];
    await sql`
      delete from rejections where id in (
        select r.id from rejections r where r.key = any(${keys}::text[]) and r.id <= (
          select k.id from rejections k where k.key = r.key order by k.id desc offset ${KEPT_OF_A_KEY} limit 1)
        for update skip locked)`.execute(db);
  });
}

export interface RejectionFilter {
  /**
   * Epoch milliseconds; `to` is excluded. Counts are by whole hours, so an hour counts if the range touches
   * it.
   */
  from: number;
  to: number;
  key?: string;
  route?: string;
  reason?: string;
}

/** Sums counts by reason and route, highest first. Counts are not kept by key. */
export async function countRejections(
  db: Sql,
  { from, to, route, reason }: RejectionFilter,
): Promise<Omit<RejectionCount, 'hour'>[]> {
  const { rows } = await sql<Omit<RejectionCount, 'hour'>>`
    select route, reason, kind, sum(n)::float8 as n from rejection_counts
    where hour > ${instant(from)} - interval '1 hour' and hour < ${instant(to)}
      ${equal('route', route)} ${equal('reason', reason)}
    group by route, reason, kind order by n desc, route, reason, kind`.execute(db);
  return rows;
}

/** The stored refusals, newest first. */
export async function lastRejections(
  db: Sql,
  { from, to, key, route, reason }: RejectionFilter,
  limit: number,
): Promise<Rejection[]> {
  const { rows } = await sql<Rejection>`
    select ${ms('at')} as at, key, key_name, route, kind, status, reason, field, detail, item from rejections
    where rejections.at >= ${instant(from)} and rejections.at < ${instant(to)}
      ${equal('key', key)} ${equal('route', route)} ${equal('reason', reason)}
    order by id desc limit ${limit}`.execute(db);
  return rows;
}

/** Removes refusals from before `before` (epoch ms). */
export async function forgetRejections(db: Sql, before: number): Promise<void> {
  await sql`delete from rejections where at < ${instant(before)}`.execute(db);
  await sql`delete from rejection_counts where hour < ${instant(before)}`.execute(db);
}

function equal(column: string, value: string | undefined): RawBuilder<unknown> {
  return value === undefined ? sql`` : sql`and ${sql.ref(column)} = ${value}`;
}
