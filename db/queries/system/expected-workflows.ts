import { sql } from 'kysely';
import { DEAD_LETTER_SCHEDULE_MS } from '../../../domain/dead-letters/dead-letter.ts';
import type { ProducerSettings } from '../../../domain/producers/producer.ts';
import type { Sql } from '../../orm.ts';
import { ms } from '../../time.ts';

/** How many automatic retries a dead letter gets: as many as the schedule of its workflow has. */
const MOST_RETRIES = DEAD_LETTER_SCHEDULE_MS.length;
/** How many dead letters one workflow retries. Further ones follow when these are settled. */
const MOST_LETTERS = 1000;

const retried = sql`state = 'waiting' and kind = 'batch' and failure = 'transient' and attempts < ${MOST_RETRIES}`;

interface ExpectedProducer {
  id: string;
  settings: ProducerSettings;
  paused: boolean;
}

/**
 * Finds everything that needs a running workflow: rules with something to judge, producers, unresolved
 * incidents, and sources whose dead letters are retried automatically.
 */
export async function expectedWorkflows(db: Sql): Promise<{
  rules: { id: string }[];
  producers: ExpectedProducer[];
  incidents: { id: string }[];
  sources: string[];
}> {
  const rules = await sql<{ id: string }>`
    select id from alert_rules r where enabled or deleted_at is not null or exists (
      select from rule_versions v where v.rule_id = r.id and v.superseded_at is not null and not v.settled)`.execute(
    db,
  );
  const producers = await db.selectFrom('producers').select(['id', 'settings', 'paused']).execute();
  const incidents = await db
    .selectFrom('alert_incidents')
    .select('id')
    .where('state', '<>', 'resolved')
    .execute();
  const sources = await sql<{ id: string }>`
    select distinct source_id as id from dead_letters where ${retried}`.execute(db);
  return {
    rules: rules.rows,
    producers,
    incidents,
    sources: sources.rows.map(({ id }) => id),
  };
}

/**
 * The dead letters of a source that are retried automatically, in the form of the workflow's input. Times in
 * epoch ms.
 */
export async function lettersToRetry(
  db: Sql,
  sourceId: string,
): Promise<{ id: string; retries: number; next_at: number }[]> {
  const { rows } = await sql<{ id: string; attempts: number; updated_at: number }>`
    select id, attempts, ${ms('updated_at')} as updated_at from dead_letters
    where source_id = ${sourceId} and ${retried} order by created_at, id limit ${MOST_LETTERS}`.execute(db);
  return rows.map(({ id, attempts, updated_at }) => ({
    ...{ id, retries: attempts },
    next_at: updated_at + DEAD_LETTER_SCHEDULE_MS[attempts]!,
  }));
}
