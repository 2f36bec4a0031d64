import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { type AuditRow, insertAudit, settleAudit } from '../db/queries/audit.ts';
import type { Principal } from './access.ts';
import type { Addresses } from './address.ts';
import { problemOf } from './middleware/problems.ts';
import type { Route } from './route.ts';

/** Largest query and body that the record keeps as they were, in characters of JSON; of others it has the size. */
const DETAIL_LIMIT = 4000;

/** Whether what a route does goes on record: all that operates or administers, and no event, of which there are too many. */
export function isRecorded({ method, role }: Pick<Route, 'method' | 'role'>): boolean {
  return method !== 'get' && (role === 'operate' || role === 'admin');
}

interface Act {
  principal: Principal;
  request: IncomingMessage;
  path: string;
  /** As the route's schemas have it. */
  query: Record<string, unknown>;
  body: unknown;
}

/**
 * Does what a route does between two writes: what is about to be done, by whom, and what came of it. The first comes before the change and
 * is a condition of it, so nothing changes unrecorded, not even by a process that dies half-way; its entry has no status then.
 * A second write that fails is logged with all of it.
 */
export function recorder({
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
  return async <A extends { status: number; headers?: Record<string, string> }>(
    route: Route,
    act: Act,
    handle: () => Promise<A>,
  ): Promise<A> => {
    const entry = entryOf(route, act, clock(), addresses);
    await insertAudit(sqlOf(orm), entry);
    const settle = async (status: number, target = entry.target) => {
      await settleAudit(sqlOf(orm), { id: entry.id, status, target }).catch((error: unknown) => {
        log.error({ err: error, audit: { ...entry, status, target } }, 'the outcome could not be recorded');
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
  route: Route,
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
      ...(body === undefined ? {} : { body: short(body) }),
    },
    status: null,
  };
}

function short(value: unknown): unknown {
  const { length } = JSON.stringify(value);
  return length <= DETAIL_LIMIT ? value : { characters: length };
}
