import { type RawBuilder, sql } from 'kysely';
import type { Event } from '../../domain/event.ts';
import type { Sql } from '../orm.ts';
import { instant, ms } from '../time.ts';

/** Which events to list. Times in epoch milliseconds, `from` in and `to` out. */
export interface EventFilter {
  severity?: string;
  source_id?: string;
  event_type?: string;
  from?: number;
  to?: number;
  /** Payload values by path: `{ 'host.name': 'web-1' }`. */
  payload?: Readonly<Record<string, string>>;
}

export interface EventPage {
  /** Only events that come after this one, from new to old. */
  after?: { at: number; id: string };
  offset?: number;
  limit: number;
}

const COLUMNS = sql`event_id, source_id, ${ms('occurred_at')} as occurred_at,
  severity, event_type, payload`;

/** One event by its id, or null. */
export async function findEvent(db: Sql, id: string): Promise<Event | null> {
  const { rows } =
    await sql<Event>`select ${COLUMNS} from events where event_id = ${id}::uuid limit 1`.execute(db);
  return rows[0] ?? null;
}

/** Events from new to old, by id within a millisecond: an order that walks the index on (occurred_at, event_id). */
export async function listEvents(
  db: Sql,
  filter: EventFilter,
  { after, offset = 0, limit }: EventPage,
): Promise<Event[]> {
  const conditions = conditionsOf(filter);
  if (after) {
    const at = instant(after.at);
    // The first line lets whole partitions be skipped: PostgreSQL does not prune by a row comparison.
    conditions.push(sql`occurred_at <= ${at}`, sql`(occurred_at, event_id) < (${at}, ${after.id}::uuid)`);
  }
  const { rows } = await sql<Event>`
    select ${COLUMNS} from events
    where ${sql.join([sql`true`, ...conditions], sql` and `)}
    order by events.occurred_at desc, event_id desc
    limit ${limit} offset ${offset}`.execute(db);
  return rows;
}

function conditionsOf({
  severity,
  source_id,
  event_type,
  from,
  to,
  payload,
}: EventFilter): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = [];
  if (severity !== undefined) conditions.push(sql`severity = ${severity}`);
  if (source_id !== undefined) conditions.push(sql`source_id = ${source_id}`);
  if (event_type !== undefined) conditions.push(sql`event_type = ${event_type}`);
  if (from !== undefined) conditions.push(sql`occurred_at >= ${instant(from)}`);
  if (to !== undefined) conditions.push(sql`occurred_at < ${instant(to)}`);
  for (const [path, value] of Object.entries(payload ?? {})) {
    conditions.push(sql`payload #>> ${path.split('.')}::text[] = ${value}`);
  }
  return conditions;
}
