import { type RawBuilder, sql } from 'kysely';
import { DEAF_REASONS, type DeafReason, type DeafSpan } from '../../../domain/system/deafness.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';

/**
 * If a span continues within this time after its end, it is extended instead of a new one, in milliseconds.
 */
const SAME_WITHIN_MS = 90_000;

/** How many spans are read to be joined, the newest first. An incident may be open for months. */
const MOST_JOINED = 10_000;

const COLUMNS = sql`whose, id, name, reason, ${ms('from_at')} as from_at, ${ms('to_at')} as to_at,
  ${ms('held_until')} as held_until`;

/**
 * Stores deaf spans. A span that begins where a stored one begins extends it. This is a part of a statement
 * and has no result.
 */
export function insertSpans(spans: readonly DeafSpan[]): RawBuilder<unknown> {
  return sql`
    insert into deaf_spans as d (whose, id, name, reason, from_at, to_at, held_until)
    select whose, left(id, 100), left(name, 200), reason, to_timestamp(from_at / 1000), to_timestamp(to_at / 1000),
      to_timestamp(held_until / 1000)
    from jsonb_to_recordset(${JSON.stringify(spans)}::jsonb) as x(
      whose text, id text, name text, reason text, from_at float8, to_at float8, held_until float8)
    order by 1, 2, 4, 5
    on conflict (whose, id, reason, from_at, letter_id) do update set
      to_at = greatest(d.to_at, excluded.to_at), held_until = greatest(d.held_until, excluded.held_until)`;
}

/**
 * Stores spans that a sweep found. Each extends the latest span of its kind that ended recently. So a
 * producer that stays behind has one row, not one per second.
 */
export async function extendSpans(db: Sql, spans: readonly DeafSpan[]): Promise<void> {
  if (spans.length === 0) return;
  const given = spans.map(({ whose, id, reason }) => ({ whose, id, reason }));
  const { rows } = await sql<Pick<DeafSpan, 'whose' | 'id' | 'reason' | 'from_at'>>`
    select x.whose, x.id, x.reason, (
      select (extract(epoch from max(d.from_at)) * 1000)::float8 from deaf_spans d
      where d.whose = x.whose and d.id = x.id and d.reason = x.reason
        and d.to_at >= now() - ${SAME_WITHIN_MS} * interval '1 millisecond') as from_at
    from jsonb_to_recordset(${JSON.stringify(given)}::jsonb) as x(whose text, id text, reason text)`.execute(
    db,
  );
  const keyOf = ({ whose, id, reason }: Pick<DeafSpan, 'whose' | 'id' | 'reason'>) =>
    `${whose} ${id} ${reason}`;
  const begun = new Map(rows.map((row) => [keyOf(row), row.from_at]));
  await insertSpans(
    spans.map((span) => ({ ...span, from_at: begun.get(keyOf(span)) ?? span.from_at })),
  ).execute(db);
}

/** The spans whose senders may still come back, with `patience` milliseconds more than usual. */
export async function spansInForce(db: Sql, patience: number): Promise<DeafSpan[]> {
  const { rows } = await sql<DeafSpan>`
    select ${COLUMNS} from deaf_spans
    where held_until > clock_timestamp() - ${patience} * interval '1 millisecond'`.execute(db);
  return rows;
}

/**
 * The spans that overlap the time from `from` to `to` (epoch ms), newest first. Spans of a source's dead
 * letters are joined where they touch: each letter has a row, and a source that fails for an hour has
 * hundreds.
 */
export async function spansWithin(
  db: Sql,
  { from, to, limit }: { from: number; to: number; limit: number },
): Promise<DeafSpan[]> {
  const { rows } = await sql<DeafSpan>`
    with found as (
      select * from deaf_spans where to_at >= ${instant(from)} and from_at <= ${instant(to)}
      order by to_at desc limit ${MOST_JOINED}
    ), begun as (
      select *, letter_id is null or coalesce(from_at > max(to_at) over (
        partition by whose, id, reason order by from_at, to_at rows between unbounded preceding and 1 preceding
      ), true) as begins from found
    ), numbered as (
      select *, count(*) filter (where begins) over (partition by whose, id, reason order by from_at, to_at
        rows between unbounded preceding and current row) as nth from begun
    ), joined as (
      select whose, id, max(name) as name, reason, min(from_at) as from_at, max(to_at) as to_at,
        max(held_until) as held_until from numbered group by whose, id, reason, nth
    )
    select ${COLUMNS} from joined
    order by joined.to_at desc, joined.from_at desc, whose, id, reason limit ${limit}`.execute(db);
  return rows;
}

/** How much of a time range lies in deaf spans with a given reason. */
export interface Deafness {
  reason: DeafReason;
  spans: number;
  /** Overlapping spans count once. */
  seconds: number;
}

/** The deaf time within the last seconds, for every possible reason. */
export async function deafnessWithin(db: Sql, seconds: number): Promise<Deafness[]> {
  const { rows } = await sql<Deafness>`
    with stretch as (select now() - ${seconds} * interval '1 second' as begun, now() as ended),
    found as (
      select reason, tstzrange(greatest(from_at, begun), greatest(from_at, begun, least(to_at, ended)), '[]') as span
      from deaf_spans, stretch where to_at >= begun and from_at <= ended
    )
    select reason, spans, (
      select coalesce(sum(extract(epoch from upper(part) - lower(part))), 0)::float8 from unnest(parts) as part
    ) as seconds
    from (select reason, count(*)::int as spans, range_agg(span) as parts from found group by reason) as found_by_reason`.execute(
    db,
  );
  return DEAF_REASONS.map(
    (reason) => rows.find((row) => row.reason === reason) ?? { reason, spans: 0, seconds: 0 },
  );
}

/** Removes spans that ended before `before` (epoch ms). They are kept as long as events. */
export async function forgetSpans(db: Sql, before: number): Promise<void> {
  await sql`delete from deaf_spans where to_at < ${instant(before)}`.execute(db);
}

/** Removes the spans of sources. */
export async function forgetSpansOf(db: Sql, sources: readonly string[]): Promise<void> {
  await sql`delete from deaf_spans where whose = 'source' and id = any(${sources}::text[])`.execute(db);
}
