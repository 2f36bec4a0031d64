import { sql } from 'kysely';
import { compileLabelMatchers, type LabelMatcher } from '../../../domain/received-alerts/label-matcher.ts';
import { RECEIVING_RULES, type ReceivingProtocol } from '../../../domain/received-alerts/protocols.ts';
import type { Sql } from '../../orm.ts';
import { ALERT, type ReceivedAlertRow } from './writes.ts';

/**
 * How many alerts are read at once, and how many characters in them. Labels are matched here and not in SQL,
 * so that these matchers and those of rules use the same kind of patterns.
 */
const PAGE = 1000;
const PAGE_CHARACTERS = 256 << 10;

/** How many alerts are read first, and at least. Those that a page has no room for are only measured. */
const FIRST_PAGE = 50;
const FEWEST = 8;

interface Wanted {
  protocol: ReceivingProtocol;
  matchers: readonly LabelMatcher[];
  /** Epoch milliseconds. */
  now: number;
  limit: number;
}

/**
 * Reads alerts that are active at `now` and whose labels match, in the order of their keys, page by page, at
 * most `limit`.
 * @throws MatcherError at once
 */
export function activeAlertPages(
  db: Sql,
  { matchers, ...wanted }: Wanted,
): AsyncGenerator<ReceivedAlertRow[]> {
  return pages(db, compileLabelMatchers(matchers), wanted);
}

async function* pages(
  db: Sql,
  matches: (labels: Record<string, string>) => boolean,
  { protocol, now, limit }: Omit<Wanted, 'matchers'>,
): AsyncGenerator<ReceivedAlertRow[]> {
  let left = limit;
  let size = FIRST_PAGE;
  for (let after: string | null = null; left > 0; ) {
    const { rows } = (await sql<ReceivedAlertRow>`
      select * from (
        select *, sum(length(labels::text) + length(annotations::text) + length(summary)) over (
          order by key rows between unbounded preceding and 1 preceding) as before
        from (
          select ${ALERT} from received_alerts a
          where a.rule_id = ${RECEIVING_RULES[protocol]} and a.starts_at <= ${now}::bigint and a.ends_at > ${now}::bigint
            ${after === null ? sql`` : sql`and a.key > ${after}`}
          order by a.key limit ${size}
        ) page
      ) measured where coalesce(before, 0) < ${PAGE_CHARACTERS} order by key`.execute(db)) as {
      rows: ReceivedAlertRow[];
    };
    if (rows.length === 0) return;
    const found = rows.filter(({ labels }) => matches(labels)).slice(0, left);
    left -= found.length;
    if (found.length > 0) yield found;
    after = rows.at(-1)!.key;
    size = Math.max(FEWEST, Math.min(4 * rows.length, PAGE));
  }
}

/** The same as one list. It ends early after so many characters, which limits its memory. */
export async function activeAlerts(db: Sql, wanted: Wanted, characters = Number.POSITIVE_INFINITY) {
  const alerts: ReceivedAlertRow[] = [];
  let size = 0;
  // One alert more than `limit` tells whether there are others.
  for await (const page of activeAlertPages(db, { ...wanted, limit: wanted.limit + 1 })) {
    for (const alert of page) {
      if (alerts.length === wanted.limit || size > characters) return { alerts, more: true };
      alerts.push(alert);
      size += JSON.stringify([alert.labels, alert.annotations, alert.summary]).length;
    }
  }
  return { alerts, more: false };
}

/** Says which of these keys belong to alerts that are active at `now` (epoch ms). */
export async function activeAmong(
  db: Sql,
  protocol: ReceivingProtocol,
  keys: readonly string[],
  now: number,
): Promise<Set<string>> {
  const { rows } = await sql<{ key: string }>`
    select key from received_alerts
    where rule_id = ${RECEIVING_RULES[protocol]} and key = any(${[...keys]}::text[]) and ends_at > ${now}::bigint
  `.execute(db);
  return new Set(rows.map(({ key }) => key));
}
