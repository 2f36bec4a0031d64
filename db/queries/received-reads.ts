import { sql } from 'kysely';
import { compileLabelMatchers, type LabelMatcher } from '../../domain/label-matcher.ts';
import { RECEIVING_RULES, type ReceivingProtocol } from '../../domain/received-alert.ts';
import type { Sql } from '../orm.ts';
import { ALERT, type AlertRow } from './received-writes.ts';

/** Alerts read at once: labels are matched here, so that SQL and rules have one kind of pattern. */
const PAGE = 1000;

/**
 * Alerts that are active at `now` (epoch ms) and whose labels match, in the order of their keys, `limit` at the most. `more`
 * says that there are others.
 * @throws MatcherError
 */
export async function activeAlerts(
  db: Sql,
  {
    protocol,
    matchers,
    now,
    limit,
  }: { protocol: ReceivingProtocol; matchers: readonly LabelMatcher[]; now: number; limit: number },
): Promise<{ alerts: AlertRow[]; more: boolean }> {
  const matches = compileLabelMatchers(matchers);
  const alerts: AlertRow[] = [];
  let after: string | null = null;
  while (true) {
    const { rows } = (await sql<AlertRow>`
      select ${ALERT} from received_alerts a
      where a.rule_id = ${RECEIVING_RULES[protocol]} and a.starts_at <= ${now}::bigint and a.ends_at > ${now}::bigint
        ${after === null ? sql`` : sql`and a.key > ${after}`}
      order by a.key limit ${PAGE}`.execute(db)) as { rows: AlertRow[] };
    for (const row of rows) {
      if (!matches(row.labels)) continue;
      if (alerts.length === limit) return { alerts, more: true };
      alerts.push(row);
    }
    if (rows.length < PAGE) return { alerts, more: false };
    after = rows.at(-1)!.key;
  }
}
