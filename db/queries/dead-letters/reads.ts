import { type RawBuilder, sql } from 'kysely';
import type { Json } from '../../../domain/events/event.ts';
import type { Sql } from '../../orm.ts';
import { instant, ms } from '../../time.ts';

export interface DeadLetterFilter {
  source_id?: string;
  state?: string;
  kind?: string;
  failure?: string;
  ids?: readonly string[];
}

/** Times in epoch milliseconds. */
export interface DeadLetterRow {
  id: string;
  source_id: string;
  kind: 'batch' | 'event';
  state: 'waiting' | 'redriven' | 'discarded';
  failure: string;
  reason: string;
  field: string | null;
  event_count: number;
  attempts: number;
  created_at: number;
  updated_at: number;
}

const COLUMNS = sql`id, source_id, kind, state, failure, reason, field, event_count, attempts,
  ${ms('created_at')} as created_at,
  ${ms('updated_at')} as updated_at`;

/** Lists dead letters from new to old, without their content. `after`: only those that follow this one. */
export async function listDeadLetters(
  db: Sql,
  filter: DeadLetterFilter,
  { after, limit }: { after?: { at: number; id: string }; limit: number },
): Promise<DeadLetterRow[]> {
  const conditions = conditionsOf(filter);
  if (after) {
    conditions.push(sql`(created_at, id) < (${instant(after.at)}, ${after.id}::uuid)`);
  }
  const { rows } = await sql<DeadLetterRow>`
    select ${COLUMNS} from dead_letters
    where ${sql.join([sql`true`, ...conditions], sql` and `)}
    order by dead_letters.created_at desc, id desc limit ${limit}`.execute(db);
  return rows;
}

/** Finds a dead letter with its content, or null. */
export async function findDeadLetter(
  db: Sql,
  id: string,
): Promise<(DeadLetterRow & { content: Json }) | null> {
  const { rows } = await sql<DeadLetterRow & { content: Json }>`
    select ${COLUMNS}, content from dead_letters where id = ${id}::uuid`.execute(db);
  return rows[0] ?? null;
}

/** Ids of the oldest `limit` waiting dead letters, grouped by source. */
export async function waitingBySource(
  db: Sql,
  filter: DeadLetterFilter,
  limit: number,
): Promise<{ source_id: string; ids: string[] }[]> {
  const { rows } = await sql<{ source_id: string; ids: string[] }>`
    select source_id, jsonb_agg(id order by created_at, id) as ids from (
      select id, source_id, created_at from dead_letters
      where ${sql.join([sql`state = 'waiting'`, ...conditionsOf(filter)], sql` and `)}
      order by created_at, id limit ${limit}
    ) waiting group by source_id order by source_id`.execute(db);
  return rows;
}

function conditionsOf({ source_id, state, kind, failure, ids }: DeadLetterFilter): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = [];
  if (source_id !== undefined) conditions.push(sql`source_id = ${source_id}`);
  if (state !== undefined) conditions.push(sql`state = ${state}`);
  if (kind !== undefined) conditions.push(sql`kind = ${kind}`);
  if (failure !== undefined) conditions.push(sql`failure = ${failure}`);
  if (ids !== undefined) conditions.push(sql`id = any(${[...ids]}::uuid[])`);
  return conditions;
}
