import { sql } from 'kysely';
import type { Json } from '../../domain/event.ts';
import { type Orm, sqlOf, transaction } from '../orm.ts';
import { storableJson, storableText } from '../storable.ts';
import { instant } from '../time.ts';
import { shareSamples } from './removed-samples.ts';

/** A dead letter to be kept. `content` is the batch or the event as it was to be stored. */
export interface NewDeadLetter {
  id: string;
  source_id: string;
  kind: 'batch' | 'event';
  failure: string;
  reason: string;
  field: string | null;
  content: unknown;
  event_count: number;
  /** Epoch milliseconds. */
  created_at: number;
}

/**
 * Keeps dead letters, each once by its id: what is there already stays as it is, and those of removed samples
 * are dropped.
 * @returns how many are new
 */
export async function insertDeadLetters(orm: Orm, letters: readonly NewDeadLetter[]): Promise<number> {
  if (letters.length === 0) return 0;
  const rows = letters.map((letter) => ({
    ...letter,
    failure: letter.failure.slice(0, 32),
    field: letter.field?.slice(0, 200) ?? null,
    reason: letter.reason.slice(0, 2000),
  }));
  return transaction(orm, async (db) => {
    await shareSamples(db);
    const { numAffectedRows } = await sql`
      insert into dead_letters
        (id, source_id, kind, state, failure, reason, field, content, event_count, attempts, created_at, updated_at)
      select id, source_id, kind, 'waiting', failure, reason, field, content, event_count, 0,
        to_timestamp(created_at / 1000), to_timestamp(created_at / 1000)
      from jsonb_to_recordset(${storableJson(rows)}::jsonb) as letter (
        id uuid, source_id text, kind text, failure text, reason text, field text, content jsonb,
        event_count int, created_at float8)
      where not exists (select from removed_samples r where r.source_id = letter.source_id)
      on conflict (id) do nothing`.execute(db);
    return Number(numAffectedRows ?? 0);
  });
}

export interface WaitingDeadLetter {
  id: string;
  source_id: string;
  kind: 'batch' | 'event';
  content: Json;
}

/**
 * Those of a source's dead letters that still wait, oldest first. Ids that are not among them are left out.
 */
export async function waitingDeadLetters(
  orm: Orm,
  sourceId: string,
  ids: readonly string[],
): Promise<WaitingDeadLetter[]> {
  const { rows } = await sql<WaitingDeadLetter>`
    select id, source_id, kind, content from dead_letters
    where id = any(${[...ids]}::uuid[]) and source_id = ${sourceId} and state = 'waiting'
    order by created_at, id`.execute(sqlOf(orm));
  return rows;
}

/**
 * Settles waiting dead letters of a source, and says which: what was settled before is left out. `redriven`
 * wins over `discarded`, because what a redrive stored is stored, whoever gave it up meanwhile. `at`: epoch
 * ms.
 */
export async function settleDeadLetters(
  orm: Orm,
  {
    sourceId,
    ids,
    state,
    at,
  }: { sourceId: string; ids: string[]; state: 'redriven' | 'discarded'; at: number },
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    update dead_letters set state = ${state}, updated_at = ${instant(at)},
      attempts = attempts + ${state === 'redriven' ? 1 : 0}
    where id = any(${ids}::uuid[]) and source_id = ${sourceId}
      and (state = 'waiting' or state = 'discarded' and ${state} = 'redriven')
    returning id`.execute(sqlOf(orm));
  return rows.map(({ id }) => id);
}

/** A dead letter was tried again in vain: why now. `at`: epoch ms. */
export async function failedAgain(
  orm: Orm,
  { id, reason, field, at }: { id: string; reason: string; field: string | null; at: number },
): Promise<void> {
  await sql`
    update dead_letters set attempts = attempts + 1, reason = ${storableText(reason.slice(0, 2000))},
      field = coalesce(${field}::text, field), updated_at = ${instant(at)}
    where id = ${id} and state = 'waiting'`.execute(sqlOf(orm));
}
