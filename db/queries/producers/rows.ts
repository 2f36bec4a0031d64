import type { ProducerSettings } from '../../../domain/producers/producer.ts';
import { type Producer, ProducerEntity } from '../../entities/producer.ts';
import type { Orm } from '../../orm.ts';
import { sampleReturns } from '../events/removed-samples.ts';

/** All producers by id. */
export async function listProducers(orm: Orm): Promise<Producer[]> {
  return orm.em.fork().find(ProducerEntity, {}, { orderBy: { id: 'asc' } });
}

/** One producer, or null. */
export async function findProducer(orm: Orm, id: string): Promise<Producer | null> {
  return orm.em.fork().findOne(ProducerEntity, { id });
}

/** Stores a new producer. Null when there is one by that id. `now` in epoch ms. */
export async function insertProducer(
  orm: Orm,
  given: { id: string; settings: ProducerSettings; paused: boolean; sample: boolean },
  now: number,
): Promise<Producer | null> {
  await sampleReturns(orm, given.id);
  const em = orm.em.fork();
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

/** Changes what a producer was told; what is undefined stays. Null when it is gone. `now` in epoch ms. */
export async function updateProducer(
  orm: Orm,
  id: string,
  change: { settings?: ProducerSettings; paused?: boolean },
  now: number,
): Promise<Producer | null> {
  const em = orm.em.fork();
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  const changed = await em.nativeUpdate(ProducerEntity, { id }, { ...given, updatedAt: new Date(now) });
  return changed === 0 ? null : em.findOne(ProducerEntity, { id });
}

/** Removes a producer; its events stay. False when there was none. */
export async function deleteProducer(orm: Orm, id: string): Promise<boolean> {
  return (await orm.em.fork().nativeDelete(ProducerEntity, { id })) > 0;
}
