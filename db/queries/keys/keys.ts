import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import { sql } from 'kysely';
import { PREFIX_LENGTH } from '../../../domain/keys/key.ts';
import { ROLES, type Role } from '../../../domain/keys/role.ts';
import { type ApiKey, ApiKeyEntity, SessionEntity } from '../../entities/key.ts';
import { managerOf, type Orm, type Sql, transaction } from '../../orm.ts';
import { following, type PageOf } from '../../paging.ts';
import { instant } from '../../time.ts';

/** Lists keys from new to old, including revoked ones. `after`: only those that follow this one. */
export async function listKeys(orm: Orm, { after, limit }: PageOf): Promise<ApiKey[]> {
  return managerOf(orm).find(ApiKeyEntity, following('createdAt', after), {
    orderBy: { createdAt: 'desc', id: 'desc' },
    limit,
  });
}

/** Finds a key, or null. */
export async function findKey(orm: Orm, id: string): Promise<ApiKey | null> {
  return managerOf(orm).findOne(ApiKeyEntity, { id });
}

/**
 * Stores a new key with the hash of its secret. Returns null if a valid key has the same name. `now`: epoch
 * ms.
 */
export async function insertKey(
  orm: Orm,
  given: Pick<
    ApiKey,
    'name' | 'hash' | 'prefix' | 'roles' | 'rateLimit' | 'sources' | 'createdBy' | 'expiresAt'
  >,
  now: number,
): Promise<ApiKey | null> {
  const em = managerOf(orm);
  const key = em.create(ApiKeyEntity, {
    ...given,
    id: crypto.randomUUID(),
    createdAt: new Date(now),
    lastUsedAt: null,
    revokedAt: null,
  });
  try {
    await em.persist(key).flush();
  } catch (error) {
    if (error instanceof UniqueConstraintViolationException) return null;
    throw error;
  }
  return key;
}

/** Revokes a key and ends its sessions. Returns false if there is no such key. `now`: epoch ms. */
export async function revokeKey(orm: Orm, id: string, now: number): Promise<boolean> {
  return transaction(orm, async (_db, em) => {
    const key = await em.findOne(ApiKeyEntity, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!key) return false;
    key.revokedAt ??= new Date(now);
    await em.nativeDelete(SessionEntity, { key });
    return true;
  });
}

/**
 * Stores the bootstrap key with every role, and revokes the bootstrap key of an earlier configuration. If
 * somebody revoked this key, it stays revoked, because they must be able to rely on that. Several API
 * processes start at once: `on conflict do nothing` is what makes one of them insert it.
 * @returns the stored key. `now`: epoch ms
 */
export async function ensureBootstrapKey(
  orm: Orm,
  { hash, prefix }: { hash: string; prefix: string },
  now: number,
): Promise<{ id: string; roles: Role[]; revoked: boolean }> {
  return transaction(orm, async (db) => {
    // The old key is revoked before the new one is inserted, because both have the same name.
    await sql`
      with older as (
        update api_keys set revoked_at = ${instant(now)}
        where bootstrap and hash <> ${hash} and revoked_at is null returning id)
      delete from sessions using older where key_id = older.id`.execute(db);
    await sql`
      insert into api_keys (id, name, hash, prefix, roles, bootstrap, created_at, created_by)
      values (${crypto.randomUUID()}::uuid, 'bootstrap', ${hash}, ${prefix}, ${JSON.stringify(ROLES)}::jsonb, true,
              ${instant(now)}, 'configuration')
      on conflict do nothing`.execute(db);
    const { rows } = await sql<{ id: string; roles: Role[]; revoked: boolean }>`
      select id, roles, revoked_at is not null as revoked from api_keys where hash = ${hash}`.execute(db);
    return rows[0]!;
  });
}

/**
 * What authentication needs of a key. It is found by the key's own secret or by that of a session. Times in
 * epoch ms.
 */
export interface Credential {
  /** Hash of the secret by which it was found. */
  hash: string;
  id: string;
  name: string;
  roles: Role[];
  rate_limit: number | null;
  sources: string[] | null;
  /** When the key or the session ends, whichever is earlier. */
  expires_at: number | null;
  revoked: boolean;
}

/** Finds the keys of these secrets, by hash. Unknown ones are missing. Every request waits for this. */
export async function findCredentials(db: Sql, hashes: readonly string[]): Promise<Credential[]> {
  const { rows } = await sql<Credential>`
    select found.hash, k.id, k.name, k.roles, k.rate_limit, k.sources, k.revoked_at is not null as revoked,
      (extract(epoch from least(k.expires_at, found.until)) * 1000)::float8 as expires_at
    from (
      select hash, id, expires_at as until from api_keys where hash = any(${[...hashes]}::text[])
      union all
      select hash, key_id, expires_at from sessions where hash = any(${[...hashes]}::text[])
    ) found
    join api_keys k on k.id = found.id`.execute(db);
  return rows;
}

/** Stores when keys were last used: epoch ms by id. */
export async function noteUse(db: Sql, used: ReadonlyMap<string, number>): Promise<void> {
  const rows = [...used].map(([id, at]) => ({ id, at }));
  await sql`
    update api_keys k set last_used_at = greatest(k.last_used_at, to_timestamp(x.at / 1000))
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as x(id uuid, at float8)
    where k.id = x.id`.execute(db);
}

/** The first characters of a secret, which are stored to recognize it. */
export const prefixOf = (secret: string) => secret.slice(0, PREFIX_LENGTH);
