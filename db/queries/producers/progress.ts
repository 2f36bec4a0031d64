import { sql } from 'kysely';
import type { ProducerSettings } from '../../../domain/producers/producer.ts';
import { ProducerEntity } from '../../entities/producer.ts';
import { managerOf, type Orm, sqlOf } from '../../orm.ts';
import { instant } from '../../time.ts';

/** The settings of a producer; null if its row is gone. */
export async function producerRow(
  orm: Orm,
  sourceId: string,
): Promise<{ settings: ProducerSettings; paused: boolean } | null> {
  const row = await managerOf(orm).findOne(ProducerEntity, { id: sourceId });
  return row && { settings: row.settings, paused: row.paused };
}

/**
 * Records the progress of a producer: `stored` more events, and every event before `appendedThrough` (epoch
 * ms) is either appended or in a dead letter. The time never decreases. Returns false if the row is gone. One
 * statement adds, because a retry of an activity may overlap with its earlier attempt.
 */
export async function recordProgress(
  orm: Orm,
  { sourceId, stored, appendedThrough }: { sourceId: string; stored: number; appendedThrough: number },
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update producers set
      appended = appended + ${stored},
      appended_through = greatest(appended_through, ${instant(appendedThrough)})
    where id = ${sourceId}`.execute(sqlOf(orm));
  return (numAffectedRows ?? 0n) > 0n;
}
