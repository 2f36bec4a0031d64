import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { Role } from '../../domain/keys/role.ts';

/** A key of a person or a program. Revoked keys stay, because the audit log names them. */
export const ApiKeyEntity = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.uuid().primary(),
    /** The name. No two valid keys have the same, upper and lower case counting as equal. */
    name: p.string().length(100),
    /** SHA-256 of the secret, in hex. The secret itself is not stored. */
    hash: p.string().length(64).unique('api_keys_hash_unique'),
    /** The first characters of the secret, so that people recognize it. */
    prefix: p.string().length(8),
    roles: p.json<Role[]>(),
    /** Events per second that each API process accepts with the key; null for no limit of its own. */
    rateLimit: p.integer().nullable(),
    /** Sources that the key may send events for; null for all. */
    sources: p.json<string[]>().nullable(),
    /** True if the key comes from the configuration (BOOTSTRAP_KEY). */
    bootstrap: p.boolean().default(false),
    createdAt: p.datetime(3),
    createdBy: p.string().length(100),
    expiresAt: p.datetime(3).nullable(),
    lastUsedAt: p.datetime(3).nullable(),
    revokedAt: p.datetime(3).nullable(),
  },
  indexes: [
    { name: 'api_keys_created_at_index', properties: ['createdAt', 'id'] },
    {
      name: 'api_keys_name_unique',
      expression:
        'create unique index "api_keys_name_unique" on "api_keys" (lower("name")) where "revoked_at" is null',
    },
  ],
});
export type ApiKey = InferEntity<typeof ApiKeyEntity>;

/** A browser session, opened with a key. It has the rights of the key, and ends no later than the key. */
export const SessionEntity = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    /** SHA-256 of the cookie's value, in hex. */
    hash: p.string().length(64).primary(),
    key: () => p.manyToOne(ApiKeyEntity).index('sessions_key_id_index'),
    createdAt: p.datetime(3),
    expiresAt: p.datetime(3),
  },
});
