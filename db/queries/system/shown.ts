import { sql } from 'kysely';
import type { ShownIncident, ShownRule } from '../../../domain/temporal-ui/about.ts';
import type { Sql } from '../../orm.ts';

/** What the workflows of these rules show in the Web UI, by id. Deleted rules are missing. */
export async function shownRules(db: Sql, ids: readonly string[]): Promise<Map<string, ShownRule>> {
  const { rows } = await sql<ShownRule & { id: string }>`
    select id, name, coalesce(incident_severity, definition->>'severity') as severity, enabled
    from alert_rules where id = any(${ids}::uuid[])`.execute(db);
  return new Map(rows.map(({ id, ...rule }) => [id, rule]));
}

/** What the workflows of these incidents show in the Web UI, by id. */
export async function shownIncidents(db: Sql, ids: readonly string[]): Promise<Map<string, ShownIncident>> {
  const { rows } = await sql<ShownIncident & { id: string }>`
    select id, rule_id, rule_name, severity, state, left(summary, 1000) as summary
    from alert_incidents where id = any(${ids}::uuid[])`.execute(db);
  return new Map(rows.map(({ id, ...incident }) => [id, incident]));
}
