import { sql } from 'kysely';
import { v5 as uuidv5 } from 'uuid';
import type { DeliveryOutcome, OutstandingNotice } from '../../../domain/incidents/notice.ts';
import type { Sql } from '../../orm.ts';
import { ms } from '../../time.ts';

/** One attempt to deliver a notice through a channel. */
export interface Attempt {
  incident_id: string;
  notice_id: string;
  channel: string;
  /** The number of the attempt, from 1. */
  attempt: number;
}

/**
 * Reads the unfinished notices of an incident, with the best outcome so far on each channel that was tried.
 */
export async function outstandingNotices(db: Sql, incidentId: string): Promise<OutstandingNotice[]> {
  const { rows } = await sql<OutstandingNotice>`
    select n.id, n.kind, ${ms('n.at')} as at, coalesce((
      select jsonb_agg(d) from (
        select distinct on (channel) channel, attempt as attempts, outcome, detail,
          ${ms('at')} as at,
          exists (
            select from incident_timeline t where t.incident_id = n.incident_id
              and t.kind in ('notice_sent', 'notice_failed')
              and t.detail ->> 'notice_id' = n.id::text and t.detail ->> 'channel' = deliveries.channel
          ) as settled
        from deliveries where notice_id = n.id
        order by channel, outcome = 'sent' desc, attempt desc
      ) d), '[]') as progress
    from notices n where n.incident_id = ${incidentId} and not n.done
    order by n.at`.execute(db);
  return rows;
}

/** Says whether an attempt has delivered the notice through the channel. */
export async function wasSent(db: Sql, { notice_id, channel }: Attempt): Promise<boolean> {
  const { rows } = await sql`
    select from deliveries where notice_id = ${notice_id} and channel = ${channel} and outcome = 'sent'
    limit 1`.execute(db);
  return rows.length > 0;
}

/**
 * The row's detail from before the sending until there is an outcome. It stays if the process dies in
 * between.
 */
const BEGUN = 'begun, no outcome recorded';

/** Records that an attempt begins, before anything is sent. `at`: epoch milliseconds. */
export async function beginAttempt(db: Sql, attempt: Attempt, at: number): Promise<void> {
  const { incident_id, notice_id, channel } = attempt;
  const id = uuidv5(`${attempt.attempt}/${channel}`, notice_id);
  await sql`
    insert into deliveries (id, notice_id, incident_id, channel, attempt, at, outcome, duration_ms, detail)
    values (${id}, ${notice_id}, ${incident_id}, ${channel}, ${attempt.attempt}, ${new Date(at)}, 'retry', 0, ${BEGUN})
    on conflict (notice_id, channel, attempt) do nothing`.execute(db);
}

/** Records the outcome of an attempt. If the row says that it was sent, that stays. */
export async function endAttempt(
  db: Sql,
  { notice_id, channel, attempt }: Attempt,
  { outcome, detail, durationMs }: { outcome: DeliveryOutcome; detail: string; durationMs?: number },
): Promise<void> {
  await sql`
    update deliveries set outcome = ${outcome}, detail = ${detail},
      duration_ms = coalesce(${durationMs ?? null}::int, duration_ms)
    where notice_id = ${notice_id} and channel = ${channel} and attempt = ${attempt} and outcome <> 'sent'
  `.execute(db);
}

/** Marks a notice as done. Returns true the first time. */
export async function finishNotice(db: Sql, noticeId: string): Promise<boolean> {
  const { numAffectedRows } =
    await sql`update notices set done = true where id = ${noticeId} and not done`.execute(db);
  return (numAffectedRows ?? 0n) > 0n;
}
