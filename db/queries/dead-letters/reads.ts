import { type DeadLetter, DeadLetterEntity } from '../../entities/dead-letter.ts';
import { managerOf, type Orm } from '../../orm.ts';
import { following, type PageOf } from '../../paging.ts';

/** The values that dead letters must have; `undefined` means any. */
export interface DeadLetterFilter
  extends Partial<Pick<DeadLetter, 'sourceId' | 'state' | 'kind' | 'failure'>> {
  ids?: readonly string[];
}

/** A dead letter without its content, which may be large. */
export type DeadLetterSummary = Omit<DeadLetter, 'content' | symbol>;

/** Lists dead letters from new to old, without their content. `after`: only those that follow this one. */
export async function listDeadLetters(
  orm: Orm,
  filter: DeadLetterFilter,
  { after, limit }: PageOf,
): Promise<DeadLetterSummary[]> {
  return managerOf(orm).find(
    DeadLetterEntity,
    { $and: [conditionsOf(filter), following('createdAt', after)] },
    { orderBy: { createdAt: 'desc', id: 'desc' }, limit, exclude: ['content'] },
  );
}

/** Finds a dead letter with its content, or null. */
export async function findDeadLetter(orm: Orm, id: string): Promise<DeadLetter | null> {
  return managerOf(orm).findOne(DeadLetterEntity, { id });
}

/** The waiting dead letters among these ids of a source with their content, oldest first. */
export async function waitingDeadLetters(
  orm: Orm,
  sourceId: string,
  ids: readonly string[],
): Promise<DeadLetter[]> {
  return managerOf(orm).find(DeadLetterEntity, conditionsOf({ ids, sourceId, state: 'waiting' }), {
    orderBy: { createdAt: 'asc', id: 'asc' },
  });
}

/** Ids of the oldest `limit` waiting dead letters by source. */
export async function waitingBySource(
  orm: Orm,
  filter: DeadLetterFilter,
  limit: number,
): Promise<{ sourceId: string; ids: string[] }[]> {
  const letters = await managerOf(orm).find(DeadLetterEntity, conditionsOf({ ...filter, state: 'waiting' }), {
    fields: ['id', 'sourceId'],
    orderBy: { createdAt: 'asc', id: 'asc' },
    limit,
  });
  const sources = Map.groupBy(letters, ({ sourceId }) => sourceId);
  return [...sources].map(([sourceId, waiting]) => ({ sourceId, ids: waiting.map(({ id }) => id) }));
}

function conditionsOf({ ids, ...equal }: DeadLetterFilter) {
  const given = Object.entries(equal).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(given), ...(ids && { id: { $in: [...ids] } }) };
}
