import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { type AuditRow, insertAudit, settleAudit } from '../../db/queries/keys/audit.ts';
import type { Addresses } from '../http/address.ts';
import { problemOf } from '../http/middleware/problems.ts';
import { Problem } from '../http/problem.ts';
import type { Route } from '../http/route.ts';
import type { Principal } from './access.ts';
import { Rates } from './rates.ts';

/**
 * Largest query and body that the record keeps as they were, in characters of JSON; of others it has the
 * size.
 */
const DETAIL_LIMIT = 4000;

/**
 * Entries that a key may cause at once by what it may do without operating or administering, and how many a
 * second from then on.
 */
const ENTRIES_AT_ONCE = 200;
const ENTRIES_A_SECOND = 0.2;

/**
 * Whether what a route does goes on record: all that operates or administers, and what takes all events
 * along. No event that is stored does: there are too many. Who comes in, and who acknowledges by another
 * protocol, is known only in the route, which has it recorded.
 */
export function isRecorded({ method, role, recorded }: Pick<Route, 'method' | 'role' | 'recorded'>): boolean {
  return recorded === true || (method !== 'get' && (role === 'operate' || role === 'admin'));
}

type RecordedRoute = Pick<Route, 'method' | 'path' | 'role' | 'recordedAs'>;

interface Act {
  principal: Principal;
  request: IncomingMessage;
  path: string;
  /** As the route's schemas have it. */
  query: Record<string, unknown>;
  body: unknown;
}

/**
 * Does what a route does between two writes: what is about to be done, by whom, and what came of it. The
 * first comes before the change and is a condition of it, so nothing changes unrecorded, not even by a
 * process that dies half-way; its entry has no status then. A second write that fails is logged with all of
 * it.
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
  /** A key that may change nothing must not fill the table. @throws Problem 429 */
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
    await insertAudit(sqlOf(orm), entry);
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
): AuditRow {
  return {
    id: crypto.randomUUID(),
    at: now,
    principal_id: principal.id,
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
