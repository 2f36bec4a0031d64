import { sql } from 'kysely';
import type { PipelinedTransaction, Statement } from '../../connections/append-connections.ts';
import { LOCKS } from '../../locks.ts';
import { type Orm, type Sql, sqlOf, transaction } from '../../orm.ts';

/**
 * Removes the rows of all sample producers. After it returns, none of their events can be stored any more:
 * batches in progress are committed, and later ones find a note. A batch may come much later, for example
 * from a worker that was killed.
 * @returns how many producers there were, and the sources whose events must be removed, including those of an
 * earlier call that was interrupted
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

/** Notes that all events of these sources are removed. */
export async function samplesEmptied(db: Sql, sources: readonly string[]): Promise<void> {
  await sql`update removed_samples set emptied = true where source_id = any(${sources}::text[])`.execute(db);
}

/**
 * Allows a producer with this id to store events again. It must be called before the producer's row is
 * created. Otherwise the new producer's events could be dropped, which is worse than storing a late batch of
 * the old one.
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
 * Says which of the sources belong to removed samples. Until this transaction ends, no more are added. A
 * second statement reads that, because its snapshot must be newer than the lock.
 */
export async function removedAmong(
  { send }: PipelinedTransaction,
  sources: readonly string[],
): Promise<Set<string>> {
  const [, { rows }] = await Promise.all([send(share), send<{ source_id: string }>(find, [sources])]);
  return new Set(rows.map(({ source_id }) => source_id));
}

/**
 * Takes the lock for a transaction that waits for each answer. Its next statement can then rely on the notes.
 */
export async function shareSamples(db: Sql): Promise<void> {
  await sql.raw(share.text).execute(db);
}
