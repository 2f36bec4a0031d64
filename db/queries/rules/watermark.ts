import { sql } from 'kysely';
import { receivingRulesThat } from '../../../domain/received-alerts/protocols.ts';
import {
  type Listeners,
  type ListeningProcess,
  LONGEST_HOLD_MS,
  RESENT_WITHIN_MS,
  type RunningProducer,
} from '../../../domain/rules/watermark.ts';
import type { Sql } from '../../orm.ts';
import { ms } from '../../time.ts';
import { spansInForce } from '../system/deaf-spans.ts';
import { databaseNow } from '../system/heartbeat.ts';

/**
 * Reads ingest processes and running producers, their progress, and deaf spans. `now` is the database's
 * clock, epoch ms. Heartbeats are read before deaf spans: a span in a later heartbeat begins no earlier than
 * the heartbeat read here, so none is missed.
 */
export async function listeners(db: Sql): Promise<Listeners & { now: number }> {
  const processes = await sql<ListeningProcess>`
    select id, role, ${ms('started_at')} as started_at, ${ms('beat_at')} as beat_at,
      ${ms('oldest_unappended')} as oldest_unappended, ended_at is not null as ended,
      retired_at is not null as retired
    from processes where ingests`.execute(db);
  const producers = await sql<RunningProducer>`
    select id, ${ms('appended_through')} as appended_through from producers
    where not paused and appended_through is not null`.execute(db);
  const standing = await sql`
    select from rule_groups
    where rule_id = any(${receivingRulesThat('repeats')}::uuid[]) and state = 'firing' limit 1`.execute(db);
  const patience = standing.rows.length > 0 ? RESENT_WITHIN_MS : 0;
  const deaf = await spansInForce(db, patience);
  const now = await databaseNow(db);
  return { processes: processes.rows, producers: producers.rows, deaf, patience, now };
}

/** Advances the watermark; it never goes back. Returns its value. Epoch ms. */
export async function advanceWatermark(db: Sql, value: number, now: number): Promise<number> {
  const { rows } = await sql<{ value: number }>`
    update watermark set value = greatest(value, ${Math.floor(value)}::bigint), computed_at = ${Math.floor(now)}::bigint
    returning value::float8 as value`.execute(db);
  return rows[0]!.value;
}

/**
 * Removes processes that ended long ago: retired ones, and those whose role has a newer process. The last
 * process of an ingest role stays, because nobody hears its senders until another one starts. An ingest
 * worker that ended in order is removed if no producer runs, because it then has no senders.
 */
export async function forgetProcesses(db: Sql): Promise<void> {
  await sql`
    delete from processes p
    where beat_at < now() - ${LONGEST_HOLD_MS} * interval '1 millisecond' and (not ingests or retired_at is not null
      or exists (select from processes o where o.role = p.role and o.ingests and o.beat_at > p.beat_at)
      or role = 'ingest' and ended_at is not null and not exists (
        select from producers where not paused and appended_through is not null))`.execute(db);
}
