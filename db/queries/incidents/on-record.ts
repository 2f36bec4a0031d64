import { sql } from 'kysely';
import type { RecordedIncident } from '../../../domain/incidents/transitions.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';

/** An incident with its rule and group, as judging reads it. Times in epoch milliseconds. */
export type GroupIncident = RecordedIncident & { rule_id: string; group_key: string; revision: number };

const COLUMNS = sql`id, rule_id, group_key, ${ms('since')} as since, ${ms('opened_at')} as opened_at, ${ms('ended_at')} as ended_at,
  state, ${ms('resolved_at')} as resolved_at, resolved_by, resolve_reason, revision, reopened, corrections`;

/** Incidents that stand for an episode: neither merged nor withdrawn. */
const VALID = sql`merged_into is null and withdrawn_at is null`;

/**
 * Reads and locks the incidents of each group that end at or after its `ended_since` (epoch ms), or have not
 * ended. `offset 0` makes PostgreSQL look them up group by group in an index by end, so earlier incidents of
 * a group cost nothing.
 */
export async function incidentsOnRecord(
  db: Sql,
  ruleId: string,
  groups: readonly { group_key: string; ended_since: number }[],
): Promise<GroupIncident[]> {
  const earliest = Math.min(...groups.map(({ ended_since }) => ended_since));
  const { rows } = await sql<GroupIncident>`
    select i.* from jsonb_to_recordset(${JSON.stringify(groups)}::jsonb) as g(group_key text, ended_since float8)
    cross join lateral (
      select ${COLUMNS} from alert_incidents a
      where a.rule_id = ${ruleId} and a.group_key = g.group_key and ${VALID}
        and coalesce(a.ended_at, 'infinity'::timestamptz) >= to_timestamp(g.ended_since / 1000)
        and coalesce(a.ended_at, 'infinity'::timestamptz) >= ${instant(earliest)}
      offset 0 for update
    ) i order by i.opened_at`.execute(db);
  return rows;
}

/** Reads and locks the incidents of the rule that have not ended, oldest first. */
export async function unendedIncidents(db: Sql, ruleId: string): Promise<GroupIncident[]> {
  const { rows } = await sql<GroupIncident>`
    select ${COLUMNS} from alert_incidents
    where rule_id = ${ruleId} and ended_at is null and ${VALID} order by alert_incidents.opened_at for update`.execute(
    db,
  );
  return rows;
}

/** Reads and locks the group's open incident that nobody has acknowledged; null if there is none. */
export async function unacknowledgedIncident(
  db: Sql,
  ruleId: string,
  groupKey: string,
): Promise<GroupIncident | null> {
  const { rows } = await sql<GroupIncident>`
    select ${COLUMNS} from alert_incidents
    where rule_id = ${ruleId} and group_key = ${groupKey} and state = 'open' and acknowledged_at is null
    for update`.execute(db);
  return rows[0] ?? null;
}

/** Reads and locks the incident; null if there is none. */
export async function lockIncident(db: Sql, id: string): Promise<GroupIncident | null> {
  const { rows } = await sql<GroupIncident>`
    select ${COLUMNS} from alert_incidents where id = ${id} for update`.execute(db);
  return rows[0] ?? null;
}

/**
 * Says which of the incidents people were notified of. If they were not, they are not notified of its end or
 * of a correction either. If a person resolved an incident that opened without a notice, that resolve was a
 * notice.
 */
export async function announced(db: Sql, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { rows } = await sql<{ incident_id: string }>`
    select distinct incident_id from notices where incident_id = any(${ids}::uuid[])`.execute(db);
  return new Set(rows.map(({ incident_id }) => incident_id));
}

/** The highest episode number of each group. Each is found at the end of an index. */
export async function lastEpisodes(
  db: Sql,
  ruleId: string,
  groupKeys: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await sql<{ group_key: string; last: number }>`
    select k as group_key, i.episode as last from unnest(${groupKeys}::text[]) k
    cross join lateral (
      select episode from alert_incidents
      where rule_id = ${ruleId} and group_key = k order by episode desc limit 1) i`.execute(db);
  return new Map(rows.map(({ group_key, last }) => [group_key, last]));
}
