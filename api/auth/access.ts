import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ROLES, type Role } from '../../domain/keys/role.ts';
import { Problem, Unauthorized } from '../http/problem.ts';

/** Who asks. */
export interface Principal {
  /** The key's id; null where none was asked for. */
  id: string | null;
  /** For logs and the record: the key's name. */
  name: string;
  roles: readonly Role[];
  /** Events a second that it may send; null: no limit of its own. */
  rateLimit: number | null;
  /** Sources that it may send for; null: any. */
  sources: readonly string[] | null;
  /** When its key or session ends, in epoch ms; null: not by itself. */
  expiresAt: number | null;
}

/** What a route asks of whoever comes. */
export interface Demand {
  /** What a key needs; null: nothing, and no key either. */
  role: Role | null;
  /** Takes the header `x-ingest-token`, as the reference's clients send it. */
  token?: boolean;
  /** What the route takes; events if absent. A key above its rate of events may still send alerts. */
  ingests?: 'events' | 'alerts';
}

/** Decides who may come in. */
export interface Access {
  /** `open`: no keys are asked for. */
  readonly mode: 'open' | 'keys';
  /**
   * Says who sent a request, before anything of its body is read.
   * @throws Problem 401 without a key that is known, 403 with one that lacks the role, 429 with one over its
   * rate
   */
  admit(request: IncomingMessage, demand: Demand): Promise<Principal>;
  /**
   * As `admit`, of a key that came in the request's body, such as PagerDuty's `routing_key`. @throws Problem
   * 401, 403, 429
   */
  admitKey(
    secret: string,
    role: Role,
    request?: IncomingMessage,
    ingests?: Demand['ingests'],
  ): Promise<Principal>;
  /** Who sent a request, whatever they may do. @throws Unauthorized, Problem 429 */
  identify(request: IncomingMessage): Promise<Principal>;
  /** Whose key this is, whatever it may be used for. @throws Unauthorized, Problem 429 */
  identifyKey(secret: string, request?: IncomingMessage): Promise<Principal>;
  /**
   * Counts new alerts against the key's rate of alerts.
   * @throws RateExceeded, before any of them is stored
   */
  spendAlerts(principal: Principal, opening: number): Promise<void>;
  /** Counts events against a key's own rate. @throws RateExceeded, before any of them is stored */
  spend(principal: Principal, events: number): Promise<void>;
}

/** Asks whether a key that is bound to sources may send for one. @throws Problem 403 */
export function requireSource({ name, sources }: Principal, source: string): void {
  if (sources === null || sources.includes(source)) return;
  throw new Problem(403, `the key "${name}" may not send for the source ${source}`);
}

/** Longest name that a timeline takes. */
const LONGEST_ACTOR = 200;

/**
 * Whom a timeline names: the key by which the request came. Who the request says it is stands there as a
 * claim, for whoever has a key that may operate could claim to be anybody. Without keys there is nothing but
 * what the request says.
 */
export function actorOf({ id, name }: Principal, given: string | undefined): string {
  if (id === null) return given ?? 'api';
  if (given === undefined || given === name) return name;
  const by = ` (claimed by key ${name})`;
  const room = LONGEST_ACTOR - by.length;
  return (given.length <= room ? given : `${given.slice(0, room - 1).replace(/[\uD800-\uDBFF]$/, '')}…`) + by;
}

/**
 * Everyone may do everything: for an API that only its own machine reaches. Only the ingest token is asked
 * for, where it is due.
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

/** Compares in constant time, whatever the lengths. */
export function tokenCheck(token: string): (given: string | string[] | undefined) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(token);
  return (given) => typeof given === 'string' && timingSafeEqual(digest(given), expected);
}
