import { sql } from 'kysely';
import { type ListeningProcess, LONGEST_HOLD_MS, type RunningProducer } from '../../domain/watermark.ts';
import type { Sql } from '../orm.ts';

const ms = (column: string) => sql.raw(`(extract(epoch from ${column}) * 1000)::float8 as ${column}`);

/** Ingest processes and running producers, and how far each is. */
export async function listeners(
  db: Sql,
): Promise<{ processes: ListeningProcess[]; producers: RunningProducer[] }> {
  const processes = await sql<ListeningProcess>`
    select role, ${ms('started_at')}, ${ms('beat_at')}, ${ms('oldest_unappended')}, ${ms('held_at')}, ${ms('held_until')}
    from processes where ingests`.execute(db);
  const producers = await sql<RunningProducer>`
    select id, ${ms('appended_through')} from producers
    where not paused and appended_through is not null`.execute(db);
  return { processes: processes.rows, producers: producers.rows };
}

/** Moves the watermark on, never back. Returns where it stands. Epoch ms. */
export async function advanceWatermark(db: Sql, value: number, now: number): Promise<number> {
  const { rows } = await sql<{ value: number }>`
    update watermark set value = greatest(value, ${Math.floor(value)}::bigint), computed_at = ${now}::bigint
    returning value::float8 as value`.execute(db);
  return rows[0]!.value;
}

/** Forgets processes that ended without a word, once they hold nothing back any more. */
export async function forgetProcesses(db: Sql, now: number): Promise<void> {
  await sql`
    delete from processes where beat_at < to_timestamp((${now}::float8 - ${LONGEST_HOLD_MS}::float8) / 1000)`.execute(
    db,
  );
}
