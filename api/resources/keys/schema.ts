import { z } from 'zod';
import type { ApiKey } from '../../../db/entities/key.ts';
import { isStorable } from '../../../db/storable.ts';
import { ROLES } from '../../../domain/keys/role.ts';
import { shownName, time } from '../../http/parameters.ts';

const role = z.enum(ROLES);

/** The highest rate of a key, in events per second: more than one API process can store. */
const MOST_EVENTS = 1_000_000;

/** How many sources a key may be limited to. Each request searches the list. */
const MOST_SOURCES = 100;

/**
 * Names that keys may not have: the audit log uses them for senders without a key, and for the bootstrap key.
 */
const RESERVED_NAMES = ['bootstrap', 'anyone', 'api', 'ingest token', 'unknown', 'configuration'];

/**
 * The schema of a new key. @param now tells the time in epoch ms, to check that the key ends in the future
 */
export const keyIn = (now: () => number) =>
  z
    .object({
      name: shownName(100)
        .refine((name) => !RESERVED_NAMES.includes(name.toLowerCase()), 'is reserved')
        .meta({ description: 'Unique among the keys in force; upper and lower case count as the same' }),
      roles: z
        .array(role)
        .min(1)
        .max(ROLES.length)
        .refine((roles) => new Set(roles).size === roles.length, 'has a role twice')
        .meta({
          uniqueItems: true,
          description:
            'What the key may be used for. No role includes another: `ingest` sends events and alerts, `read` reads, `operate` changes everything except keys, `admin` manages keys and reads the audit log.',
        }),
      rate_limit: z.int().min(1).max(MOST_EVENTS).nullish().meta({
        description:
          'Events per second that each API process accepts with this key. A batch is accepted whole unless the key is over its rate; after a large batch the key must wait until its average rate is within the limit again. New alerts have a separate limit of the same size, or of 10 per second if `rate_limit` is not set. Messages that refresh or resolve an active alert are never limited.',
      }),
      sources: z
        .array(z.string().min(3).max(100).refine(isStorable, 'must not contain NUL or broken surrogates'))
        .min(1)
        .max(MOST_SOURCES)
        .nullish()
        .meta({
          description:
            'Values of `source_id` that the key may send events for. Without this list it may send for every source. To send alerts, a key with a list needs `alertmanager` or `pagerduty` in it.',
        }),
      expires_at: z.iso
        .datetime({ offset: true })
        .transform((text) => new Date(text))
        .refine((at) => at.getTime() > now(), 'must be in the future')
        .nullish()
        .meta({ override: { type: ['string', 'null'], format: 'date-time', pattern: undefined } }),
    })
    .meta({ id: 'KeyInput' });

export const keyOut = z
  .object({
    id: z.uuid(),
    name: z.string(),
    prefix: z.string().meta({ description: 'The first characters of the secret' }),
    roles: z.array(role),
    rate_limit: z.int().nullable(),
    sources: z.array(z.string()).nullable(),
    state: z.enum(['active', 'expired', 'revoked']),
    bootstrap: z.boolean().meta({ description: 'True if the key came from BOOTSTRAP_KEY' }),
    created_at: time,
    created_by: z.string(),
    expires_at: time.nullable(),
    last_used_at: time.nullable().meta({ description: 'May lag by up to a minute' }),
    revoked_at: time.nullable(),
  })
  .meta({ id: 'Key' });

export const newKeyOut = keyOut
  .extend({ key: z.string().length(32).meta({ description: 'The secret. Only this answer contains it.' }) })
  .meta({ id: 'NewKey' });

/**
 * Converts a key into the form that the API answers, without its secret, which is not stored. `now` is epoch
 * ms.
 */
export function showKey(key: ApiKey, now: number): z.output<typeof keyOut> {
  const expired = key.expiresAt != null && key.expiresAt.getTime() <= now;
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    roles: key.roles,
    rate_limit: key.rateLimit ?? null,
    sources: key.sources ?? null,
    state: key.revokedAt ? 'revoked' : expired ? 'expired' : 'active',
    bootstrap: key.bootstrap,
    created_at: key.createdAt.toISOString(),
    created_by: key.createdBy,
    expires_at: key.expiresAt?.toISOString() ?? null,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
  };
}
