import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { Role } from '../../domain/keys/role.ts';

/** What somebody, or some program, comes in with. Revoked ones stay: the record names them. */
export const ApiKeyEntity = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.uuid().primary(),
    /** No other key in force has it, in whatever case. */
    name: p.string().length(100),
    /** SHA-256 of the secret, in hex; the secret itself is kept nowhere. */
    hash: p.string().length(64).unique('api_keys_hash_unique'),
    /** How the secret begins, to recognise it by. */
    prefix: p.string().length(8),
    roles: p.json<Role[]>(),
    /** Events a second that each API process takes with it; null: no limit of its own. */
    rateLimit: p.integer().nullable(),
    /** Sources that it may send for; null: any. */
    sources: p.json<string[]>().nullable(),
    /** It came from the configuration, not from a person. */
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

/** A browser that came in with a key. It may do what the key may, for as long as the key may. */
export const SessionEntity = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    /** SHA-256 of the cookie's value, in hex. */
    hash: p.string().length(64).primary(),
    keyId: p.uuid().index('sessions_key_id_index'),
    createdAt: p.datetime(3),
    expiresAt: p.datetime(3),
  },
});
