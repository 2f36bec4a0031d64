import type { IncomingMessage } from 'node:http';
import type { Credential } from '../../db/queries/keys/keys.ts';
import { hashOf, isSecret, type SecretKind } from '../../domain/keys/key.ts';
import type { Role } from '../../domain/keys/role.ts';
import type { Addresses } from '../http/address.ts';
import { Problem, RateExceeded, Unauthorized } from '../http/problem.ts';
import { type Access, type Demand, type Principal, tokenCheck } from './access.ts';
import type { SessionCookie } from './cookie.ts';
import type { Guesses } from './guesses.ts';
import type { Keyring } from './keyring.ts';
import type { LastUse } from './last-use.ts';
import { Rates } from './rates.ts';

/** How many new alerts a key without a rate may open per second: far more than people can look at. */
const ALERTS_PER_SECOND = 10;

/**
 * The longest that a key which opened too many alerts must wait, in milliseconds. Prometheus repeats firing
 * alerts once a minute.
 */
const LONGEST_ALERT_WAIT_MS = 60_000;

const NO_KEY = 'a key is required: send it as "Authorization: Bearer <key>"';

/** The holder of the ingest token, who may send events and nothing else. */
const TOKEN_HOLDER: Principal = {
  ...{ id: null, name: 'ingest token', roles: ['ingest'] },
  ...{ rateLimit: null, sources: null, expiresAt: null },
};

/** Access with keys. A key comes as `Authorization: Bearer`, through a browser's session, or in the body. */
export function keyAccess({
  keyring,
  lastUse,
  ingestToken,
  clock,
  cookie,
  addresses,
  guesses,
  tokenGuesses,
  rates = new Rates(),
  alertRates = new Rates({ longestMs: LONGEST_ALERT_WAIT_MS }),
}: {
  keyring: Keyring;
  lastUse: LastUse;
  ingestToken: string;
  /** Epoch milliseconds. */
  clock: () => number;
  cookie: SessionCookie;
  addresses: Addresses;
  guesses: Guesses;
  /**
   * Counts wrong ingest tokens. People may have chosen a weak token, so a valid one exempts no address here.
   */
  tokenGuesses: Guesses;
  rates?: Rates;
  /**
   * Rates of new alerts. They are counted apart from events, so that a key with too many events may still
   * send alerts.
   */
  alertRates?: Rates;
}): Access {
  const isToken = tokenCheck(ingestToken);

  async function holderOf(
    kind: SecretKind,
    secret: string,
    request: IncomingMessage | undefined,
  ): Promise<Principal> {
    const address = request ? addresses.of(request) : '';
    const found = await find(kind, secret, address);
    const now = clock();
    if (found.revoked) throw new Unauthorized('the key was revoked');
    if (found.expires_at !== null && found.expires_at <= now) {
      throw new Unauthorized(`the ${kind} has expired`);
    }
    // A key that has ended exempts no address: its former holder may be guessing.
    guesses.succeeded(address);
    lastUse.note(found.id, now);
    const { id, name, roles, rate_limit: rateLimit, sources, expires_at: expiresAt } = found;
    return { id, name, roles, rateLimit, sources, expiresAt };
  }

  /**
   * Looks up a secret. Only wrong keys count as guesses: sessions are too long to guess, and browsers keep
   * sending ended ones.
   * @throws Unauthorized, Problem 429
   */
  async function find(kind: SecretKind, secret: string, address: string): Promise<Credential> {
    const hash = isSecret(kind, secret) ? hashOf(secret) : null;
    if (kind === 'key' && (hash === null || !keyring.knows(hash))) guesses.check(address);
    const found = hash === null ? null : await keyring.find(hash);
    if (found) return found;
    if (kind === 'session') throw new Unauthorized('the session has expired or was ended');
    guesses.failed(address);
    throw new Unauthorized('the key is unknown');
  }

  async function identify(request: IncomingMessage): Promise<Principal> {
    const { authorization } = request.headers;
    if (authorization !== undefined) return holderOf('key', bearerOf(authorization), request);
    const session = cookie.read(request);
    if (session !== undefined) return holderOf('session', session, request);
    throw new Unauthorized(NO_KEY);
  }

  function permit(principal: Principal, role: Role, ingests: Demand['ingests'] = 'events'): Principal {
    if (!principal.roles.includes(role)) {
      throw new Problem(403, `the key "${principal.name}" lacks the role ${role}`);
    }
    const { id, rateLimit } = principal;
    if (role === 'ingest' && ingests === 'events' && id !== null && rateLimit !== null) {
      refuseAbove(principal, rates.wait(id), `${rateLimit} events`);
    }
    return principal;
  }

  const identifyKey = (secret: string, request?: IncomingMessage) => holderOf('key', secret, request);

  function requireToken(given: string | string[], request: IncomingMessage): void {
    const address = addresses.of(request);
    tokenGuesses.check(address);
    if (!isToken(given)) {
      tokenGuesses.failed(address);
      throw new Unauthorized('Invalid ingest token');
    }
    guesses.succeeded(address);
  }

  return {
    mode: 'keys',
    identify,
    identifyKey,
    async admit(request, { role, token, ingests }) {
      if (role === null) return NOBODY;
      const given = request.headers['x-ingest-token'];
      if (token && given !== undefined && request.headers.authorization === undefined) {
        requireToken(given, request);
        return permit(TOKEN_HOLDER, role, ingests);
      }
      return permit(await identify(request), role, ingests);
    },
    admitKey: async (secret, role, request, ingests) =>
      permit(await identifyKey(secret, request), role, ingests),
    async spend(principal, events) {
      const { id, rateLimit } = principal;
      if (id === null || rateLimit === null) return;
      refuseAbove(principal, rates.spend(id, rateLimit, events), `${rateLimit} events`);
    },
    async spendAlerts(principal, opening) {
      const { id, rateLimit } = principal;
      if (id === null || opening === 0) return;
      const rate = rateLimit ?? ALERTS_PER_SECOND;
      refuseAbove(principal, alertRates.spend(id, rate, opening), `${rate} new alerts`);
    },
  };
}

/** The sender of a request to a route that requires no key. */
const NOBODY: Principal = { ...TOKEN_HOLDER, name: 'anyone', roles: [] };

/** Reads the key from an `Authorization` header. @throws Unauthorized */
export function bearerOf(authorization: string): string {
  const [, key] = /^bearer +([^ ]+) *$/i.exec(authorization) ?? [];
  if (key === undefined) throw new Unauthorized(NO_KEY);
  return key;
}

function refuseAbove({ id, name }: Principal, waitMs: number, rate: string): void {
  if (waitMs === 0) return;
  const detail = `the key "${name}" is over its rate of ${rate} per second`;
  throw new RateExceeded(detail, waitMs, { id, name });
}
