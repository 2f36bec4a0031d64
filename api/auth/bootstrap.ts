import type { Logger } from 'pino';
import type { Orm } from '../../db/orm.ts';
import { ensureBootstrapKey, prefixOf } from '../../db/queries/keys/keys.ts';
import { hashOf } from '../../domain/keys/key.ts';
import type { Keyring } from './keyring.ts';

/** Pause after a failed attempt, in milliseconds. */
const RETRY_MS = 1000;

/**
 * Stores the key of BOOTSTRAP_KEY, and retries until PostgreSQL answers and has its tables. The API starts
 * without waiting for it. Until it is stored, a request with it gets 503 and not 401.
 * @returns a function that stops the attempts
 */
export function keepBootstrapKey({
  orm,
  keyring,
  secret,
  clock,
  log,
}: {
  orm: Orm;
  keyring: Keyring;
  secret: string;
  clock: () => number;
  log: Logger;
}): () => void {
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  let told = false;
  const wanted = { hash: hashOf(secret), prefix: prefixOf(secret) };
  keyring.expect(wanted.hash);
  const attempt = async () => {
    try {
      const { id, roles, revoked } = await ensureBootstrapKey(orm, wanted, clock());
      keyring.forget(() => true);
      keyring.expect(null);
      if (revoked) log.error({ key: id }, 'the bootstrap key was revoked: set BOOTSTRAP_KEY to a new one');
      else if (!roles.includes('admin')) {
        log.error({ key: id, roles }, 'BOOTSTRAP_KEY names a key that was created without the role admin');
      } else log.info({ key: id }, 'the bootstrap key is stored');
    } catch (error) {
      if (!told) log.warn({ err: error }, 'could not store the bootstrap key yet; trying again');
      told = true;
      if (!ended) timer = setTimeout(() => void attempt(), RETRY_MS);
    }
  };
  void attempt();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
