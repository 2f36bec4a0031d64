import { sql } from 'kysely';
import type { PipelinedTransaction, Statement } from '../../connections/append-connections.ts';
import { LOCKS } from '../../locks.ts';
import { type Orm, type Sql, sqlOf, transaction } from '../../orm.ts';

/**
 * Removes the rows of all sample producers. Once this has returned, nothing that they had on its way can be
 * stored: what was being stored is committed, and whatever comes later finds the note. A batch may come much
 * later, as one of a killed worker does.
 * @returns how many there were, and the sources that are to be emptied, those of an earlier call that broke
 * off included
 */
export async function removeSampleProducers(orm: Orm): Promise<{ producers: number; sources: string[] }> {
  return transaction(orm, async (db) => {
    await sql`set local lock_timeout = '3s'`.execute(db);
    await sql`select pg_advisory_xact_lock(${LOCKS.samples})`.execute(db);
    const { numAffectedRows } = await sql`
      with gone as (delete from producers where sample returning id)
      insert into removed_samples (source_id) select id from gone
      on conflict (source_id) do update set emptied = false`.execute(db);
    const { rows } = await sql<{ source_id: string }>`
      select source_id from removed_samples where not emptied`.execute(db);
    return { producers: Number(numAffectedRows ?? 0), sources: rows.map(({ source_id }) => source_id) };
  });
}

/** Nothing is left of these sources. */
export async function samplesEmptied(db: Sql, sources: readonly string[]): Promise<void> {
  await sql`update removed_samples set emptied = true where source_id = any(${sources}::text[])`.execute(db);
}

/**
 * A producer is about to have this id, so what it emits is to be stored. Comes before its row: a producer
 * whose events were dropped would be worse than a late batch of its predecessor.
 */
export async function sampleReturns(orm: Orm, id: string): Promise<void> {
  await sql`delete from removed_samples where source_id = ${id}`.execute(sqlOf(orm));
}

const share: Statement = {
  name: 'share_samples',
  text: `select pg_advisory_xact_lock_shared(${LOCKS.samples})`,
};
const find: Statement = {
  name: 'removed_samples',
  text: 'select source_id from removed_samples where source_id = any($1::text[])',
};

/**
 * Which of the sources are of removed samples. Until this transaction ends there will be no more of them. It
 * reads in a second statement, whose snapshot is younger than the lock.
 */
export async function removedAmong(
  { send }: PipelinedTransaction,
  sources: readonly string[],
): Promise<Set<string>> {
  const [, { rows }] = await Promise.all([send(share), send<{ source_id: string }>(find, [sources])]);
  return new Set(rows.map(({ source_id }) => source_id));
}

/**
 * The same for a transaction that waits for each answer: takes part, so that the next statement can rely on
 * the notes.
 */
export async function shareSamples(db: Sql): Promise<void> {
  await sql.raw(share.text).execute(db);
}
