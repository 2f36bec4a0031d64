import { sql } from 'kysely';
import { RECEIVING_RULES } from '../../domain/received-alert.ts';
import {
  type Listeners,
  type ListeningProcess,
  LONGEST_HOLD_MS,
  RESENT_WITHIN_MS,
  type RunningProducer,
} from '../../domain/watermark.ts';
import type { Sql } from '../orm.ts';
import { instant, ms } from '../time.ts';

/** Ingest processes and running producers, and how far each is. */
export async function listeners(db: Sql): Promise<Listeners> {
  const processes = await sql<ListeningProcess>`
    select role, ${ms('started_at')} as started_at, ${ms('beat_at')} as beat_at,
      ${ms('oldest_unappended')} as oldest_unappended, ${ms('held_at')} as held_at, ${ms('held_until')} as held_until
    from processes where ingests`.execute(db);
  const producers = await sql<RunningProducer>`
    select id, ${ms('appended_through')} as appended_through from producers
    where not paused and appended_through is not null`.execute(db);
  const standing = await sql`
    select from rule_groups where rule_id = ${RECEIVING_RULES.alertmanager}::uuid and state = 'firing' limit 1`.execute(
    db,
  );
  const patience = standing.rows.length > 0 ? RESENT_WITHIN_MS : 0;
  return { processes: processes.rows, producers: producers.rows, patience };
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
    delete from processes where beat_at < ${instant(now - LONGEST_HOLD_MS)}`.execute(db);
}
