import { sql } from 'kysely';
import type { ProducerSettings } from '../../domain/producer.ts';
import type { Sql } from '../orm.ts';

interface ExpectedProducer {
  id: string;
  settings: ProducerSettings;
  paused: boolean;
}

/** What should have a running workflow: rules with something to judge, producers, and unresolved incidents. */
export async function expectedWorkflows(
  db: Sql,
): Promise<{ rules: { id: string }[]; producers: ExpectedProducer[]; incidents: { id: string }[] }> {
  const rules = await sql<{ id: string }>`
    select id from alert_rules r where enabled or deleted_at is not null or exists (
      select from rule_versions v where v.rule_id = r.id and v.superseded_at is not null and not v.settled)`.execute(
    db,
  );
  const producers = await sql<ExpectedProducer>`select id, settings, paused from producers`.execute(db);
  const incidents = await sql<{
    id: string;
  }>`select id from alert_incidents where state <> 'resolved'`.execute(db);
  return { rules: rules.rows, producers: producers.rows, incidents: incidents.rows };
}
