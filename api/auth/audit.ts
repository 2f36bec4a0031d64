import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import type { AuditEntry } from '../../db/entities/audit.ts';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { insertAudit, settleAudit } from '../../db/queries/keys/audit.ts';
import type { Addresses } from '../http/address.ts';
import { problemOf } from '../http/middleware/problems.ts';
import { Problem } from '../http/problem.ts';
import type { Route } from '../http/route.ts';
import type { Principal } from './access.ts';
import { Rates } from './rates.ts';

/**
 * The longest query or body that the audit log stores in full, in characters of JSON. For longer ones it
 * stores the size.
 */
const DETAIL_LIMIT = 4000;

/**
 * How many audit entries a key without the roles `operate` and `admin` may cause at once, and how many per
 * second after that.
 */
const ENTRIES_AT_ONCE = 200;
const ENTRIES_A_SECOND = 0.2;

/**
 * Says whether requests of a route go on the audit log: those that need `operate` or `admin`, and those that
 * read very many events. Storing events is not audited, because there are too many. Two kinds of routes audit
 * for themselves, because only they know the caller: opening a session, and acknowledging through another
 * protocol.
 */
export function isRecorded({ method, role, recorded }: Pick<Route, 'method' | 'role' | 'recorded'>): boolean {
  return recorded === true || (method !== 'get' && (role === 'operate' || role === 'admin'));
}

type RecordedRoute = Pick<Route, 'method' | 'path' | 'role' | 'recordedAs'>;

interface Act {
  principal: Principal;
  request: IncomingMessage;
  path: string;
  /** The parsed query. */
  query: Record<string, unknown>;
  body: unknown;
}

/**
 * Wraps a route's work in two writes to the audit log. The first says what is about to be done, and by whom.
 * If it fails, the work is not done, so nothing changes without an entry. The second adds the outcome. If the
 * process dies between the two, the entry has no status. If the second write fails, the log gets the whole
 * entry.
 */
export function auditor({
  orm,
  clock,
  log,
  addresses,
}: {
  orm: Orm;
  clock: () => number;
  log: Logger;
  addresses: Addresses;
}) {
  const rates = new Rates({ burstMs: (ENTRIES_AT_ONCE / ENTRIES_A_SECOND) * 1000 });
  /**
   * Limits the entries of keys that may change nothing, so that they cannot fill the table. @throws Problem
   * 429
   */
  const requireRoom = ({ role }: RecordedRoute, { id, name }: Principal) => {
    if (id === null || role === 'operate' || role === 'admin') return;
    const waitMs = rates.spend(id, ENTRIES_A_SECOND, 1);
    if (waitMs <= 0) return;
    throw new Problem(429, `the key "${name}" did this too often: each time adds an entry to the audit log`, {
      headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) },
    });
  };
  return async <A extends { status: number; headers?: Record<string, string> }>(
    route: RecordedRoute,
    act: Act,
    handle: () => Promise<A>,
  ): Promise<A> => {
    requireRoom(route, act.principal);
    const entry = entryOf(route, act, clock(), addresses);
    await insertAudit(orm, entry);
    const settle = async (status: number, target = entry.target) => {
      await settleAudit(sqlOf(orm), { id: entry.id, status, target }).catch((error: unknown) => {
        log.error(
          { err: error, audit: { ...entry, status, target } },
          'could not record the outcome of a change in the audit log',
        );
      });
    };
    let answer: A;
    try {
      answer = await handle();
    } catch (error) {
      await settle(problemOf(error).status);
      throw error;
    }
    await settle(answer.status, answer.headers?.Location);
    return answer;
  };
}

function entryOf(
  route: RecordedRoute,
  { principal, request, path, query, body }: Act,
  now: number,
  addresses: Addresses,
): AuditEntry {
  return {
    id: crypto.randomUUID(),
    at: new Date(now),
    principalId: principal.id,
    principal: principal.name,
    address: addresses.of(request) || null,
    action: `${route.method.toUpperCase()} ${route.path}`,
    target: path,
    detail: {
      ...(Object.keys(query).length > 0 ? { query: short(query) } : {}),
      ...(body === undefined ? {} : { body: short(route.recordedAs ? route.recordedAs(body) : body) }),
    },
    status: null,
  };
}

function short(value: unknown): unknown {
  const { length } = JSON.stringify(value);
  return length <= DETAIL_LIMIT ? value : { characters: length };
}
