import { SessionEntity } from '../../entities/key.ts';
import { managerOf, type Orm, transaction } from '../../orm.ts';

/** How many sessions a key may have; the oldest end first. Otherwise a single key could fill the table. */
const MOST_SESSIONS = 100;

/** Stores a session with the hash of its token. Times in epoch ms. */
export async function insertSession(
  orm: Orm,
  { hash, keyId, now, expiresAt }: { hash: string; keyId: string; now: number; expiresAt: number },
): Promise<void> {
  await transaction(orm, async (_db, em) => {
    await em.insert(SessionEntity, {
      hash,
      key: keyId,
      createdAt: new Date(now),
      expiresAt: new Date(expiresAt),
    });
    const excess = await em.find(
      SessionEntity,
      { key: keyId },
      { orderBy: { createdAt: 'desc', hash: 'desc' }, offset: MOST_SESSIONS, fields: ['hash'] },
    );
    await em.nativeDelete(SessionEntity, { hash: excess.map((session) => session.hash) });
  });
}

/** Ends a session. Returns false if there is none. */
export async function deleteSession(orm: Orm, hash: string): Promise<boolean> {
  return (await managerOf(orm).nativeDelete(SessionEntity, { hash })) > 0;
}

/** Removes sessions that ended before `now` (epoch ms). */
export async function forgetSessions(orm: Orm, now: number): Promise<void> {
  await managerOf(orm).nativeDelete(SessionEntity, { expiresAt: { $lt: new Date(now) } });
}
