import type { Idempotency, ItemResult } from '../../ingest/append/batch.ts';
import type { Principal } from '../auth/access.ts';
import { type FieldError, Invalid, Problem } from '../http/problem.ts';
import type { StreamSummary } from './streamed-body.ts';

/**
 * The scope of a sender's `Idempotency-Key`; null without one. `places`: where the items stand in the
 * request.
 */
export function idempotencyOf(
  { id }: Principal,
  key: string | undefined,
  places: readonly number[] | null = null,
): Idempotency | null {
  return key === undefined ? null : { scope: `${id ?? ''}\0${key}`, places };
}

/**
 * A batch of which nothing could be taken has failed, for senders who look at no more than the status.
 * @throws Problem 403 where the key may send none of it, Invalid
 */
export function somethingStored(results: ItemResult[]): ItemResult[] {
  if (results.length === 0 || results.some(({ status }) => status !== 'invalid')) return results;
  if (results.every((result) => result.status === 'invalid' && result.forbidden)) throw new Forbidden();
  throw new Invalid(results.flatMap((result, i) => at(i, result.status === 'invalid' ? result.errors : [])));
}

/** The key may send none of what the request brings. */
export class Forbidden extends Problem {
  constructor() {
    super(403, 'the key may not send for this source');
  }
}

/** What became of a stream, as the API answers it. @throws Invalid as `somethingStored` */
export function showStream({ refused, ...counts }: StreamSummary) {
  if (counts.invalid > 0 && counts.stored + counts.duplicate === 0) {
    throw new Invalid(refused.flatMap(({ index, errors }) => at(index, errors)));
  }
  return { ...counts, results: refused.map((item) => ({ status: 'invalid' as const, ...item })) };
}

/** Results whose errors name fields as the sender's format does. */
export function renamed(results: ItemResult[], names: Readonly<Record<string, string>>): ItemResult[] {
  return results.map((result) =>
    result.status === 'invalid'
      ? {
          ...result,
          errors: result.errors.map((error) => ({
            ...error,
            // A sender may call a field `constructor`, which every object answers to.
            field: Object.hasOwn(names, error.field) ? names[error.field]! : error.field,
          })),
        }
      : result,
  );
}

const at = (index: number, errors: readonly FieldError[]) =>
  errors.map(({ field, reason }) => ({ field: field ? `${index}.${field}` : String(index), reason }));
