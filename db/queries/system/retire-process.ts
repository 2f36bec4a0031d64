import { sql } from 'kysely';
import { QUIET_AFTER_MS, spansOfTheAbsent } from '../../../domain/rules/watermark.ts';
import { type Orm, transaction } from '../../orm.ts';
import { ms } from '../../time.ts';
import { listeners } from '../rules/watermark.ts';
import { extendSpans } from './deaf-spans.ts';

/** A process in the table. Times in epoch milliseconds. */
export interface ProcessOnRecord {
  id: string;
  role: string;
  started_at: number;
  beat_at: number;
  ended_at: number | null;
  retired_at: number | null;
}

/**
 * Retires a dead process, so that the watermark no longer waits for it. The time in which it may have missed
 * events stays as a deaf span. Nothing changes if its heartbeat is recent, or if it was retired before. If
 * the process sends a heartbeat at the same time, it is either seen as alive, or its next heartbeat ends the
 * retirement. Returns null if there is no such process.
 */
export async function retireProcess(orm: Orm, id: string): Promise<ProcessOnRecord | null> {
  return transaction(orm, async (db) => {
    const found = await listeners(db);
    const retired = await sql`
      update processes set retired_at = clock_timestamp()
      where id = ${id}::uuid and retired_at is null
        and (ended_at is not null or beat_at < clock_timestamp() - ${QUIET_AFTER_MS} * interval '1 millisecond')`.execute(
      db,
    );
    if ((retired.numAffectedRows ?? 0n) > 0n) {
      await extendSpans(
        db,
        spansOfTheAbsent(found, found.now).filter((span) => span.whose === 'process' && span.id === id),
      );
    }
    const { rows } = await sql<ProcessOnRecord>`
      select id, role, ${ms('started_at')} as started_at, ${ms('beat_at')} as beat_at,
        ${ms('ended_at')} as ended_at, ${ms('retired_at')} as retired_at
      from processes where id = ${id}::uuid`.execute(db);
    return rows[0] ?? null;
  });
}
