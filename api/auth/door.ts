import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { findCredentials, noteUse } from '../../db/queries/keys/keys.ts';
import type { Addresses } from '../http/address.ts';
import { type Access, openAccess } from './access.ts';
import { keepBootstrapKey } from './bootstrap.ts';
import { sessionCookie } from './cookie.ts';
import { Guesses } from './guesses.ts';
import { keyAccess } from './key-access.ts';
import { Keyring } from './keyring.ts';
import { LastUse } from './last-use.ts';

/** The way in: who is let in, and what is kept of it. */
export interface Door {
  access: Access;
  keyring: Keyring;
  /** Writes down when keys were last used. */
  close(): Promise<void>;
}

/** Opens it to everyone, or to those with keys, of which `bootstrapKey` is the first. */
export function openDoor({
  orm,
  clock,
  log,
  auth,
  ingestToken,
  bootstrapKey,
  publicUrl,
  addresses,
}: {
  orm: Orm;
  /** Epoch milliseconds. */
  clock: () => number;
  log: Logger;
  auth: 'open' | 'keys';
  ingestToken: string;
  bootstrapKey?: string | undefined;
  /** How people reach the API: by https, sessions are bound to it. */
  publicUrl: string;
  addresses: Addresses;
}): Door {
  const keyring = new Keyring((hashes) => findCredentials(sqlOf(orm), hashes));
  if (auth === 'open') return { access: openAccess(ingestToken), keyring, close: async () => {} };
  const lastUse = new LastUse((used) => noteUse(sqlOf(orm), used), log);
  const endAttempts =
    bootstrapKey === undefined
      ? () => {}
      : keepBootstrapKey({ orm, keyring, secret: bootstrapKey, clock, log });
  lastUse.start();
  return {
    access: keyAccess({
      ...{ keyring, lastUse, ingestToken, clock, addresses },
      cookie: sessionCookie(publicUrl),
      guesses: new Guesses(log),
      tokenGuesses: new Guesses(log),
    }),
    keyring,
    async close() {
      endAttempts();
      await lastUse.stop();
    },
  };
}
