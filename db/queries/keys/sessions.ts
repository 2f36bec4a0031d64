import { sql } from 'kysely';
import { type Orm, type Sql, sqlOf, transaction } from '../../orm.ts';
import { instant } from '../../time.ts';

/** How many sessions a key may have; the oldest end first. Otherwise a single key could fill the table. */
const MOST_SESSIONS = 100;

/** Stores a session with the hash of its token. Times in epoch ms. */
export async function insertSession(
  orm: Orm,
  { hash, keyId, now, expiresAt }: { hash: string; keyId: string; now: number; expiresAt: number },
): Promise<void> {
  await transaction(orm, async (db) => {
    await sql`
      insert into sessions (hash, key_id, created_at, expires_at)
      values (${hash}, ${keyId}::uuid, ${instant(now)}, ${instant(expiresAt)})`.execute(db);
    await sql`
      delete from sessions where hash in (
        select hash from sessions where key_id = ${keyId}::uuid
        order by created_at desc, hash desc offset ${MOST_SESSIONS})`.execute(db);
  });
}

/** Ends a session. Returns false if there is none. */
export async function deleteSession(orm: Orm, hash: string): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from sessions where hash = ${hash}`.execute(sqlOf(orm));
  return Number(numAffectedRows) > 0;
}

/** Removes sessions that ended before `now` (epoch ms). */
export async function forgetSessions(db: Sql, now: number): Promise<void> {
  await sql`delete from sessions where expires_at < ${instant(now)}`.execute(db);
}
