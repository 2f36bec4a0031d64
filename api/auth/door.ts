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

/** Access control of the API, with what it must do when the process stops. */
export interface Door {
  access: Access;
  keyring: Keyring;
  /** Stores when keys were last used. */
  close(): Promise<void>;
}

/** Makes the access control: open to everyone, or with keys, of which `bootstrapKey` is the first. */
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
  /** The address at which people reach the API. If it is https, session cookies are sent only over https. */
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
