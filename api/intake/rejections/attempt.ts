import { AsyncLocalStorage } from 'node:async_hooks';
import type { Middleware } from 'koa';
import { deafnessOf } from '../../../domain/system/deafness.ts';
import type { ItemResult } from '../../../ingest/append/batch.ts';
import type { Converted } from '../../../ingest/formats/converted.ts';
import { BufferFull, DiskFull, StoreUnavailable } from '../../../ingest/outcome.ts';
import type { Principal } from '../../auth/access.ts';
import { problemOf } from '../../http/middleware/problems.ts';
import { BudgetSpent, type Problem, RateExceeded, TooManyKeys } from '../../http/problem.ts';
import type { Rejections } from './rejections.ts';

/** A request that stores something. Every part of the handler can note refusals in it. */
interface Attempt {
  route: string;
  rejections: Rejections;
  principal: Principal | null;
  /**
   * True if refused items were noted one by one. The answer that sums them up is then not another refusal.
   */
  itemised: boolean;
}

const attempts = new AsyncLocalStorage<Attempt>();

/** Records what a route refuses: whole requests here, items by `noteItems` and `noteUnreadable`. */
export function noteRefusals(route: string, rejections: Rejections): Middleware {
  return async (ctx, next) => {
    const attempt: Attempt = { route, rejections, principal: null, itemised: false };
    try {
      await attempts.run(attempt, next);
    } catch (error) {
      // The converted problem is thrown on, so that nobody converts the error again: each conversion captures
      // a stack.
      const problem = problemOf(error);
      note(attempt, problem.status, problem.message, problem);
      throw problem;
    }
    // Some formats answer errors in a form of their own, without throwing.
    if (ctx.status >= 400) note(attempt, ctx.status, '', null);
  };
}

/** Notes who sent the request, once that is known. */
export function attemptedBy(principal: Principal): void {
  const attempt = attempts.getStore();
  if (attempt) attempt.principal = principal;
}

/** Notes the items that were refused, each with its first error. */
export function noteItems(items: readonly Converted[], results: readonly ItemResult[]): void {
  for (const [i, result] of results.entries()) {
    if (result.status !== 'invalid') continue;
    const [first = { field: '', reason: 'invalid' }] = result.errors;
    const item = items[i]!;
    noteItem('event' in item ? item.event : undefined, first.field, first.reason);
  }
}

/** Notes a line that is not JSON, or one that is too long (null). */
export function noteUnreadable(line: string | null, reason: string): void {
  noteItem(line ?? undefined, '', reason);
}

function noteItem(item: unknown, field: string, detail: string): void {
  const attempt = attempts.getStore();
  if (!attempt) return;
  attempt.itemised = true;
  const { route, rejections, principal } = attempt;
  rejections.note({
    ...{ ...whose(principal), route, kind: 'event', status: 422, field, detail, item },
    reason: reasonOfField(field),
  });
}

function note(attempt: Attempt, status: number, detail: string, problem: Problem | null): void {
  const reason = reasonOf(problem, status);
  unheard(attempt, reason, problem);
  if (attempt.itemised && (status === 422 || status === 400)) return;
  const { route, rejections, principal } = attempt;
  rejections.note({ ...whose(principal), route, kind: 'request', status, reason, field: '', detail });
}

/**
 * Notes that this request waits because its events cannot be stored yet. That time is a deaf span of its
 * sender.
 */
export function noteHeldBack(error: unknown): void {
  const attempt = attempts.getStore();
  if (!attempt) return;
  const problem = problemOf(error);
  unheard(attempt, reasonOf(problem, problem.status), problem);
}

/** Records a deaf span for the sender, unless the refusal was the sender's own fault. */
function unheard(
  { rejections: { deafness }, principal }: Attempt,
  rejection: string,
  problem: Problem | null,
): void {
  const sender = problem instanceof RateExceeded ? problem.key : known(principal);
  const reason = deafnessOf(rejection, sender !== null);
  if (reason === null || !deafness) return;
  const pause = 1000 * Number(problem?.headers['Retry-After'] ?? 0);
  const key = sender && { whose: 'key' as const, id: sender.id ?? sender.name, name: sender.name };
  deafness.refused(reason, pause, key ?? deafness.process);
}

/**
 * The sender, if it has a role. A sender without roles was let in because its key is in the body, or because
 * none is needed.
 */
const known = (principal: Principal | null) => (principal?.roles.length ? principal : null);

/**
 * The name for the record: `anyone` for a sender who needs no key, `unknown` for one that was not
 * authenticated.
 */
function whose(principal: Principal | null): { key: string; key_name: string } {
  if (principal === null) return { key: 'unknown', key_name: 'unknown' };
  return { key: principal.id ?? principal.name, key_name: principal.name };
}

const FIELDS = new Set(['event_id', 'source_id', 'timestamp', 'severity', 'event_type', 'payload']);

/** Reduces field names to a few reasons, because refusals are counted by reason. */
function reasonOfField(field: string): string {
  const [root = ''] = field.split('.');
  return FIELDS.has(root) ? `invalid_${root}` : 'invalid';
}

const BY_STATUS: Readonly<Record<number, string>> = {
  400: 'malformed',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  408: 'too_slow',
  409: 'conflict',
  413: 'too_large',
  415: 'unsupported_type',
  422: 'invalid',
  429: 'over_rate',
  503: 'unavailable',
};

function reasonOf(problem: Problem | null, status: number): string {
  for (let e: unknown = problem; e instanceof Error; e = e.cause) {
    if (e instanceof BufferFull) return 'buffer_full';
    if (e instanceof DiskFull) return 'disk_full';
    if (e instanceof StoreUnavailable) return 'store_unavailable';
    if (e instanceof BudgetSpent) return 'body_budget';
    if (e instanceof TooManyKeys) return 'too_many_keys';
  }
  return BY_STATUS[status] ?? 'failed';
}
