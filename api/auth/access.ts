import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ROLES, type Role } from '../../domain/keys/role.ts';
import { Problem, Unauthorized } from '../http/problem.ts';

/** The sender of a request, as authenticated. */
export interface Principal {
  /** Id of the key; null if the API requires none. */
  id: string | null;
  /** Name of the key, for logs and the audit log. */
  name: string;
  roles: readonly Role[];
  /** Events per second that the key may send; null if it has no limit of its own. */
  rateLimit: number | null;
  /** The sources that the key may send events for; null for all. */
  sources: readonly string[] | null;
  /** When the key or session ends, in epoch ms; null if never. */
  expiresAt: number | null;
}

/** What a route requires of its caller. */
export interface Demand {
  /** The role that a key needs; null if the route needs no key. */
  role: Role | null;
  /** True if the route also accepts the header `x-ingest-token`, which the reference's clients send. */
  token?: boolean;
  /** What the route stores; events if absent. A key above its rate of events may still send alerts. */
  ingests?: 'events' | 'alerts';
}

/** Authenticates and authorizes requests. */
export interface Access {
  /** `open` if the API requires no keys. */
  readonly mode: 'open' | 'keys';
  /**
   * Authenticates and authorizes a request before its body is read.
   * @throws Problem 401 without a valid key, 403 if the key lacks the role, 429 if the key is over its rate
   */
  admit(request: IncomingMessage, demand: Demand): Promise<Principal>;
  /**
   * Like `admit`, for a key in the body of the request, such as PagerDuty's `routing_key`.
   * @throws Problem 401, 403, 429
   */
  admitKey(
    secret: string,
    role: Role,
    request?: IncomingMessage,
    ingests?: Demand['ingests'],
  ): Promise<Principal>;
  /** Authenticates a request without checking roles. @throws Unauthorized, Problem 429 */
  identify(request: IncomingMessage): Promise<Principal>;
  /** Finds the holder of a key without checking roles. @throws Unauthorized, Problem 429 */
  identifyKey(secret: string, request?: IncomingMessage): Promise<Principal>;
  /**
   * Counts new alerts against the key's rate of alerts.
   * @throws RateExceeded before any of them is stored
   */
  spendAlerts(principal: Principal, opening: number): Promise<void>;
  /** Counts events against the key's rate. @throws RateExceeded before any of them is stored */
  spend(principal: Principal, events: number): Promise<void>;
}

/** Checks that the key may send events for a source. @throws Problem 403 */
export function requireSource({ name, sources }: Principal, source: string): void {
  if (sources === null || sources.includes(source)) return;
  throw new Problem(403, `the key "${name}" may not send for the source ${source}`);
}

/** The longest actor that a timeline stores, in characters. */
const LONGEST_ACTOR = 200;

/**
 * The actor that a timeline shows. It is the name of the key that sent the request. If the request names a
 * person, that name is added as a claim of the key, because Tocsin cannot verify it. Without keys, the name
 * in the request is all there is.
 */
export function actorOf({ id, name }: Principal, given: string | undefined): string {
  if (id === null) return given ?? 'api';
  if (given === undefined || given === name) return name;
  const by = ` (claimed by key ${name})`;
  const room = LONGEST_ACTOR - by.length;
  return (given.length <= room ? given : `${given.slice(0, room - 1).replace(/[\uD800-\uDBFF]$/, '')}…`) + by;
}

/**
 * Access without keys, for an API that only its own machine can reach. Everyone may do everything, but routes
 * for events still require the ingest token.
 */
export function openAccess(ingestToken: string): Access {
  const anyone: Principal = {
    ...{ id: null, name: 'anyone', roles: ROLES, rateLimit: null, sources: null, expiresAt: null },
  };
  const isToken = tokenCheck(ingestToken);
  return {
    mode: 'open',
    async admit({ headers }, { token }) {
      if (token && !isToken(headers['x-ingest-token'])) throw new Unauthorized('Invalid ingest token');
      return anyone;
    },
    admitKey: async () => anyone,
    identify: async () => anyone,
    identifyKey: async () => anyone,
    spend: async () => {},
    spendAlerts: async () => {},
  };
}

/** Makes a check that compares tokens in constant time, whatever their length. */
export function tokenCheck(token: string): (given: string | string[] | undefined) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(token);
  return (given) => typeof given === 'string' && timingSafeEqual(digest(given), expected);
}
