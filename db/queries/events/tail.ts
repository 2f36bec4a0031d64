import { sql } from 'kysely';
import type { Event } from '../../../domain/events/event.ts';
import type { Sql } from '../../orm.ts';
import { ms } from '../../time.ts';

/** An event with the transaction that stored it. */
export interface CommittedEvent extends Event {
  xid: string;
}

/** The current snapshot, in the form of `pg_snapshot`: `xmin:xmax:xip,…`. */
export async function currentSnapshot(db: Sql): Promise<string> {
  const { rows } = await sql<{ snapshot: string }>`select pg_current_snapshot()::text as snapshot`.execute(
    db,
  );
  return rows[0]!.snapshot;
}

/**
 * Reads the events that were committed between two snapshots: those that `until` sees and `since` does not,
 * whatever the order in which transactions began. It looks at transactions that were running at `since` and
 * at all later ones.
 * @param after only events after this one, by transaction and id
 * @param most the largest number of events and of characters of payload; at least one event is read
 * @returns `more`: true if some were left out
 */
export async function eventsBetween(
  db: Sql,
  since: string,
  until: string,
  after: { xid: string; id: string } | null,
  most: { events: number; characters: number },
): Promise<{ events: CommittedEvent[]; more: boolean }> {
  const { xmax, running } = partsOf(since);
  const first = after?.xid ?? '0';
  const ran = running.filter((xid) => BigInt(xid) >= BigInt(first));
  const began = BigInt(first) > BigInt(xmax) ? first : xmax;
  const seen = sql`pg_visible_in_snapshot(xid, ${until}::pg_snapshot)
    ${after ? sql`and (xid, event_id) > (${after.xid}::xid8, ${after.id}::uuid)` : sql``}`;
  const limit = most.events;
  const { rows } = await sql<CommittedEvent & { found: number }>`
    select event_id, source_id, ${ms('occurred_at')} as occurred_at, severity, event_type, payload, xid::text as xid, found
    from (
      select *, count(*) over ()::int as found, coalesce(sum(length(payload::text)) over (
        order by xid, event_id rows between unbounded preceding and 1 preceding
      ), 0) as before
      from (
        (select * from events where xid = any(${ran}::text[]::xid8[]) and ${seen} order by xid, event_id limit ${limit})
        union all
        (select * from events where xid >= ${began}::xid8 and xid < ${partsOf(until).xmax}::xid8 and ${seen}
          order by xid, event_id limit ${limit})
        order by xid, event_id limit ${limit}
      ) page
    ) events where before < ${most.characters} order by events.xid, event_id`.execute(db);
  const found = rows[0]?.found ?? 0;
  return {
    events: rows.map(({ found: _, ...event }) => event),
    more: found === limit || rows.length < found,
  };
}

/** Parses a snapshot: transactions from `xmax` on had not begun, and those in `running` had not ended. */
export function partsOf(snapshot: string): { xmin: string; xmax: string; running: string[] } {
  const [xmin = '', xmax = '', list = ''] = snapshot.split(':');
  return { xmin, xmax, running: list === '' ? [] : list.split(',') };
}
