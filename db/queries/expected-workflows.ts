import { sql } from 'kysely';
import type { Sql } from '../orm.ts';

export interface Expected {
  id: string;
  settings?: unknown;
  paused?: boolean;
}

/** What should have a running workflow: rules with something to judge, producers, and unresolved incidents. */
export async function expectedWorkflows(
  db: Sql,
): Promise<{ rules: Expected[]; producers: Expected[]; incidents: Expected[] }> {
  const rules = await sql<Expected>`
    select id from alert_rules r where enabled or deleted_at is not null or exists (
      select from rule_versions v where v.rule_id = r.id and v.superseded_at is not null and not v.settled)`.execute(
    db,
  );
  const producers = await sql<Expected>`select id, settings, paused from producers`.execute(db);
  const incidents = await sql<Expected>`select id from alert_incidents where state <> 'resolved'`.execute(db);
  return { rules: rules.rows, producers: producers.rows, incidents: incidents.rows };
}
