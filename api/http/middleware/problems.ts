import { STATUS_CODES } from 'node:http';
import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';
import { isDiskFull, sqlState } from '../../../db/errors.ts';
import { BufferFull, DiskFull, StoreUnavailable } from '../../../ingest/outcome.ts';
import { seldom } from '../log-seldom.ts';
import { Problem, Unavailable } from '../problem.ts';
import type { Dialect } from '../route.ts';

/**
 * Converts errors into answers; no other place does. If the caller can do nothing about an error, the answer
 * says "internal error" and the log has the details.
 */
export function problems(log: Logger): Middleware {
  const unavailable = seldom((fields: object, message: string) => log.warn(fields, message));
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const problem = problemOf(error);
      if (problem.status >= 500) {
        const cause = problem.cause ?? error;
        const fields = { err: cause, method: ctx.method, path: ctx.path };
        if (problem.status === 500) log.error(fields, 'request failed');
        else unavailable(cause instanceof Error ? cause.name : problem.message, fields, problem.message);
      }
      answer(ctx, problem);
    }
  };
}

/** Converts any error into a Problem whose text the caller may see. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof BufferFull || error instanceof DiskFull) {
    return new Unavailable(error.message, error.retryAfterSeconds, error);
  }
  if (error instanceof StoreUnavailable) {
    return new Unavailable('PostgreSQL is unavailable: send the same request again', 1, error);
  }
  const state = sqlState(error);
  // Class 22: the value passed validation, but PostgreSQL cannot represent it.
  if (state?.startsWith('22')) return new Problem(422, 'a value is out of range', { cause: error });
  if (state === '57014') {
    return new Unavailable('the query took too long: narrow it with from and to', 5, error);
  }
  if (isDiskFull(error)) return new Unavailable('the disk of PostgreSQL is full', 30, error);
  if (isAway(error, state)) return new Unavailable('PostgreSQL is unavailable', 1, error);
  return new Problem(500, 'internal error', { cause: error });
}

function answer(ctx: Context, problem: Problem): void {
  const { dialect } = ctx.state as { dialect?: Dialect };
  if (dialect) {
    const status = problem.status === 422 ? dialect.invalid : problem.status;
    const { type, body } = dialect.say(problem, status, ctx.req);
    ctx.status = status;
    ctx.set({ ...problem.headers, 'Content-Type': type });
    ctx.body = typeof body === 'string' ? body : Buffer.from(body);
    return;
  }
  ctx.status = problem.status;
  ctx.set(problem.headers);
  ctx.body = JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message,
    ...(problem.errors ? { errors: problem.errors } : {}),
    ...problem.extensions,
  });
  ctx.set('Content-Type', 'application/problem+json');
}

/**
 * True if PostgreSQL is unavailable, not the statement wrong: the connection was lost or refused, the server
 * is shutting down or out of connections, or a lock took too long.
 */
function isAway(error: unknown, state: string | undefined): boolean {
  if (state && /^(08|53|57|40|55P03)/.test(state)) return true;
  for (let e = error; e instanceof Error; e = e.cause) {
    const { code } = e as { code?: unknown };
    if (typeof code === 'string' && /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOST|ENETUNR)/.test(code)) {
      return true;
    }
    if (/Connection terminated|timeout exceeded when trying to connect|Cannot use a pool/i.test(e.message)) {
      return true;
    }
  }
  return false;
}
