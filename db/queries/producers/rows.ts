import type { ProducerSettings } from '../../../domain/producers/producer.ts';
import { type Producer, ProducerEntity } from '../../entities/producer.ts';
import { managerOf, type Orm } from '../../orm.ts';
import { sampleReturns } from '../events/removed-samples.ts';

/** Lists all producers by id. */
export async function listProducers(orm: Orm): Promise<Producer[]> {
  return managerOf(orm).find(ProducerEntity, {}, { orderBy: { id: 'asc' } });
}

/** Finds a producer, or null. */
export async function findProducer(orm: Orm, id: string): Promise<Producer | null> {
  return managerOf(orm).findOne(ProducerEntity, { id });
}

/** Stores a new producer. Returns null if there is one with that id. `now`: epoch ms. */
export async function insertProducer(
  orm: Orm,
  given: { id: string; settings: ProducerSettings; paused: boolean; sample: boolean },
  now: number,
): Promise<Producer | null> {
  await sampleReturns(orm, given.id);
  const em = managerOf(orm);
  const at = new Date(now);
  const row = { ...given, createdAt: at, updatedAt: at, appendedThrough: null, appended: 0 };
  const inserted = await em
    .createQueryBuilder(ProducerEntity)
    .insert(row)
    .onConflict('id')
    .ignore()
    .execute('run');
  return inserted.affectedRows === 0 ? null : em.findOneOrFail(ProducerEntity, { id: given.id });
}

/** Changes settings of a producer; undefined ones stay. Returns null if its row is gone. `now`: epoch ms. */
export async function updateProducer(
  orm: Orm,
  id: string,
  change: { settings?: ProducerSettings; paused?: boolean },
  now: number,
): Promise<Producer | null> {
  const em = managerOf(orm);
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  const changed = await em.nativeUpdate(ProducerEntity, { id }, { ...given, updatedAt: new Date(now) });
  return changed === 0 ? null : em.findOne(ProducerEntity, { id });
}

/** Removes a producer; its events stay. Returns false if there was none. */
export async function deleteProducer(orm: Orm, id: string): Promise<boolean> {
  return (await managerOf(orm).nativeDelete(ProducerEntity, { id })) > 0;
}
