import { LockMode } from '@mikro-orm/core';
import { sql } from 'kysely';
import { DeadLetterEntity } from '../../entities/dead-letter.ts';
import { type Orm, sqlOf, transaction } from '../../orm.ts';
import { storableJson, storableText } from '../../storable.ts';
import { instant } from '../../time.ts';
import { shareSamples } from '../events/removed-samples.ts';

/** The latest time that JavaScript can represent, in epoch milliseconds. */
const LATEST_MS = 8.64e15;

/** A dead letter to be stored. `content` is the batch or the event that could not be stored. */
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
  /**
   * From the first to the last time of its events, in epoch milliseconds: a deaf span of the source. Null for
   * an invalid event, which was received after all.
   */
  unheard: { from_at: number; to_at: number } | null;
}

/**
 * Stores dead letters with their deaf spans, each once by its id. Existing ones stay unchanged, and those of
 * removed samples are dropped. One statement writes both, so that no letter lacks its span.
 * @returns how many were new
 */
export async function insertDeadLetters(orm: Orm, letters: readonly NewDeadLetter[]): Promise<number> {
  if (letters.length === 0) return 0;
  const rows = letters.map(({ unheard, ...letter }) => ({
    ...letter,
    ...storableSpan(unheard),
    failure: letter.failure.slice(0, 32),
    field: letter.field?.slice(0, 200) ?? null,
    reason: letter.reason.slice(0, 2000),
  }));
  return transaction(orm, async (db) => {
    await shareSamples(db);
    const { rows: kept } = await sql`
      with given as (
        select * from jsonb_to_recordset(${storableJson(rows)}::jsonb) as letter (
          id uuid, source_id text, kind text, failure text, reason text, field text, content jsonb,
          event_count int, created_at float8, unheard_from float8, unheard_to float8)
      ), kept as (
        insert into dead_letters
          (id, source_id, kind, state, failure, reason, field, content, event_count, attempts, created_at, updated_at)
        select id, source_id, kind, 'waiting', failure, reason, field, content, event_count, 0,
          to_timestamp(created_at / 1000), to_timestamp(created_at / 1000)
        from given
        where not exists (select from removed_samples r where r.source_id = given.source_id)
        on conflict (id) do nothing
        returning id
      ), spans as (
        insert into deaf_spans (whose, id, name, reason, from_at, to_at, letter_id)
        select 'source', source_id, source_id, 'dead_letter', to_timestamp(unheard_from / 1000),
          to_timestamp(unheard_to / 1000), id
        from given where unheard_from is not null and id in (select id from kept)
        on conflict (letter_id) where letter_id is not null do nothing
      )
      select id from kept`.execute(db);
    return kept.length;
  });
}

/**
 * Checks the span, because a batch may contain any times. Without a valid span the dead letter is stored
 * without one.
 */
function storableSpan(unheard: NewDeadLetter['unheard']) {
  const { from_at, to_at } = unheard ?? { from_at: Number.NaN, to_at: Number.NaN };
  const isSpan = from_at >= 0 && from_at <= to_at && to_at <= LATEST_MS;
  return isSpan ? { unheard_from: from_at, unheard_to: to_at } : {};
}

/**
 * Marks waiting dead letters of a source as redriven or discarded, and returns which. Letters that were
 * marked before are left out. But `redriven` replaces `discarded`, because a redrive has stored the events
 * even if somebody discarded the letter meanwhile. A redrive also ends the deaf spans of its letters, in the
 * same statement. `at`: epoch ms.
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
    with settled as (
      update dead_letters set state = ${state}, updated_at = ${instant(at)},
        attempts = attempts + ${state === 'redriven' ? 1 : 0}
      where id = any(${ids}::uuid[]) and source_id = ${sourceId}
        and (state = 'waiting' or state = 'discarded' and ${state} = 'redriven')
      returning id
    ), heard as (
      delete from deaf_spans where ${state} = 'redriven' and letter_id in (select id from settled)
    )
    select id from settled`.execute(sqlOf(orm));
  return rows.map(({ id }) => id);
}

/** Records why another attempt to store a dead letter failed. `at`: epoch ms. */
export async function failedAgain(
  orm: Orm,
  { id, reason, field, at }: { id: string; reason: string; field: string | null; at: number },
): Promise<void> {
  await transaction(orm, async (_db, em) => {
    const letter = await em.findOne(
      DeadLetterEntity,
      { id, state: 'waiting' },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    if (!letter) return;
    letter.attempts++;
    letter.reason = storableText(reason.slice(0, 2000));
    letter.field = field ?? letter.field;
    letter.updatedAt = new Date(at);
  });
}
