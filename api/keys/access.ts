import type { IncomingMessage } from 'node:http';
import { hashOf, isSecret, type SecretKind } from '../../domain/key.ts';
import type { Role } from '../../domain/role.ts';
import { type Access, type Principal, tokenCheck } from '../access.ts';
import { Problem, RateExceeded, Unauthorized } from '../problem.ts';
import type { SessionCookie } from './cookie.ts';
import type { Keyring } from './keyring.ts';
import type { LastUse } from './last-use.ts';
import { Rates } from './rates.ts';

const NO_KEY = 'a key is asked for: send it as "Authorization: Bearer <key>"';

/** Whoever has the ingest token may send events, and nothing else. */
const TOKEN_HOLDER: Principal = {
  ...{ id: null, name: 'ingest token', roles: ['ingest'] },
  ...{ rateLimit: null, expiresAt: null },
};

/** Keys decide: those of `Authorization: Bearer`, those behind a browser's session, and those in bodies. */
export function keyAccess({
  keyring,
  lastUse,
  ingestToken,
  clock,
  cookie,
  rates = new Rates(),
}: {
  keyring: Keyring;
  lastUse: LastUse;
  ingestToken: string;
  /** Epoch milliseconds. */
  clock: () => number;
  cookie: SessionCookie;
  rates?: Rates;
}): Access {
  const isToken = tokenCheck(ingestToken);

  async function holderOf(kind: SecretKind, secret: string): Promise<Principal> {
    const found = isSecret(kind, secret) ? await keyring.find(hashOf(secret)) : null;
    if (!found) throw new Unauthorized(kind === 'key' ? 'the key is not known' : 'the session has ended');
    const now = clock();
    if (found.revoked) throw new Unauthorized('the key was revoked');
    if (found.expires_at !== null && found.expires_at <= now) {
      throw new Unauthorized(`the ${kind} has ended`);
    }
    lastUse.note(found.id, now);
    const { id, name, roles, rate_limit: rateLimit, expires_at: expiresAt } = found;
    return { id, name, roles, rateLimit, expiresAt };
  }

  async function identify(request: IncomingMessage): Promise<Principal> {
    const { authorization } = request.headers;
    if (authorization !== undefined) return holderOf('key', bearerOf(authorization));
    const session = cookie.read(request);
    if (session !== undefined) return holderOf('session', session);
    throw new Unauthorized(NO_KEY);
  }

  function permit(principal: Principal, role: Role): Principal {
    if (!principal.roles.includes(role)) {
      throw new Problem(403, `the key "${principal.name}" lacks the role ${role}`);
    }
    if (role === 'ingest' && principal.id !== null && principal.rateLimit !== null) {
      refuseAbove(principal, rates.wait(principal.id));
    }
    return principal;
  }

  const identifyKey = (secret: string) => holderOf('key', secret);

  return {
    mode: 'keys',
    identify,
    identifyKey,
    async admit(request, { role, token }) {
      if (role === null) return NOBODY;
      const given = request.headers['x-ingest-token'];
      if (token && given !== undefined && request.headers.authorization === undefined) {
        if (!isToken(given)) throw new Unauthorized('Invalid ingest token');
        return permit(TOKEN_HOLDER, role);
      }
      return permit(await identify(request), role);
    },
    admitKey: async (secret, role) => permit(await identifyKey(secret), role),
    async spend(principal, events) {
      const { id, rateLimit } = principal;
      if (id !== null && rateLimit !== null) refuseAbove(principal, rates.spend(id, rateLimit, events));
    },
  };
}

/** Who comes where no key is asked for. */
const NOBODY: Principal = { ...TOKEN_HOLDER, name: 'anyone', roles: [] };

/** The key in an `Authorization` header. @throws Unauthorized */
export function bearerOf(authorization: string): string {
  const [, key] = /^bearer +([^ ]+) *$/i.exec(authorization) ?? [];
  if (key === undefined) throw new Unauthorized(NO_KEY);
  return key;
}

function refuseAbove({ name, rateLimit }: Principal, waitMs: number): void {
  if (waitMs === 0) return;
  throw new RateExceeded(`the key "${name}" is over its rate of ${rateLimit} events a second`, waitMs);
}
