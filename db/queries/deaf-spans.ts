import { type RawBuilder, sql } from 'kysely';
import type { DeafSpan } from '../../domain/deafness.ts';
import type { Sql } from '../orm.ts';
import { instant, ms } from '../time.ts';

/** A span that ended less than this before is the same one when it goes on, in milliseconds. */
const SAME_WITHIN_MS = 90_000;

const COLUMNS = sql`whose, id, name, reason, ${ms('from_at')} as from_at, ${ms('to_at')} as to_at,
  ${ms('held_until')} as held_until`;

/** Puts spans on record: those that begin where one on record does extend it. A part of a statement, without its results. */
export function insertSpans(spans: readonly DeafSpan[]): RawBuilder<unknown> {
  return sql`
    insert into deaf_spans as d (whose, id, name, reason, from_at, to_at, held_until)
    select whose, left(id, 100), left(name, 200), reason, to_timestamp(from_at / 1000), to_timestamp(to_at / 1000),
      to_timestamp(held_until / 1000)
    from jsonb_to_recordset(${JSON.stringify(spans)}::jsonb) as x(
      whose text, id text, name text, reason text, from_at float8, to_at float8, held_until float8)
    order by 1, 2, 4, 5
    on conflict (whose, id, reason, from_at) do update set
      to_at = greatest(d.to_at, excluded.to_at), held_until = greatest(d.held_until, excluded.held_until)`;
}

/**
 * Puts spans on record that a sweep found: each goes on with the youngest of its kind that ended lately, so that a producer
 * which is behind, and moves, has one row and not one a second.
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

/** Spans whose senders may still come back, given `patience` milliseconds more than usual. */
export async function spansInForce(db: Sql, patience: number): Promise<DeafSpan[]> {
  const { rows } = await sql<DeafSpan>`
    select ${COLUMNS} from deaf_spans
    where held_until > clock_timestamp() - ${patience} * interval '1 millisecond'`.execute(db);
  return rows;
}

/** Spans that touch the time from `from` to `to` (epoch ms), newest first. */
export async function spansWithin(
  db: Sql,
  { from, to, limit }: { from: number; to: number; limit: number },
): Promise<DeafSpan[]> {
  const { rows } = await sql<DeafSpan>`
    select ${COLUMNS} from deaf_spans
    where deaf_spans.to_at >= ${instant(from)} and deaf_spans.from_at <= ${instant(to)}
    order by deaf_spans.to_at desc, deaf_spans.from_at desc, whose, id, reason limit ${limit}`.execute(db);
  return rows;
}

/** Forgets spans that ended before `before` (epoch ms): they are kept as long as events. */
export async function forgetSpans(db: Sql, before: number): Promise<void> {
  await sql`delete from deaf_spans where to_at < ${instant(before)}`.execute(db);
}
