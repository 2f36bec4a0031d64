import { sql } from 'kysely';
import type { Json } from '../../../domain/events/event.ts';
import type { WedgedWorkflow } from '../../../domain/system/housekeeping.ts';
import type { Sql } from '../../orm.ts';
import { storableText } from '../../storable.ts';
import { instant, ms } from '../../time.ts';

/** The last round of one step of housekeeping. Times in epoch milliseconds. */
export interface Round {
  step: string;
  started_at: number;
  ended_at: number;
  /** When the step last succeeded; null if never. */
  succeeded_at: number | null;
  /** Why the last round failed; null if it succeeded. */
  error: string | null;
  /** What the step did or found. */
  found: Json;
}

/** Stores a round of a step, in place of the previous one. */
export async function recordRound(db: Sql, round: Omit<Round, 'succeeded_at'>): Promise<void> {
  const { step, started_at, ended_at, error, found } = round;
  const succeeded = error === null ? instant(ended_at) : null;
  const why = error === null ? null : storableText(error.slice(0, 1000));
  await sql`
    insert into housekeeping as h (step, started_at, ended_at, succeeded_at, error, found)
    values (${step}, ${instant(started_at)}, ${instant(ended_at)}, ${succeeded}, ${why},
      ${JSON.stringify(found)}::jsonb)
    on conflict (step) do update set started_at = excluded.started_at, ended_at = excluded.ended_at,
      succeeded_at = coalesce(excluded.succeeded_at, h.succeeded_at), error = excluded.error,
      found = case when excluded.error is null then excluded.found else h.found end`.execute(db);
}

/** The last round of each step. */
export async function lastRounds(db: Sql): Promise<Round[]> {
  const { rows } = await sql<Round>`
    select step, ${ms('started_at')} as started_at, ${ms('ended_at')} as ended_at,
      ${ms('succeeded_at')} as succeeded_at, error, found
    from housekeeping order by step`.execute(db);
  return rows;
}

/** The workflows that cannot continue, as the last round found them. */
export function wedgedOf(rounds: readonly Round[]): WedgedWorkflow[] {
  const { found } = rounds.find(({ step }) => step === 'workflows') ?? {};
  return ((found as { wedged?: WedgedWorkflow[] } | undefined)?.wedged ?? []).map(
    ({ workflow_id, attempts, reason }) => ({ workflow_id, attempts, reason }),
  );
}
