import type { Idempotency, ItemResult } from '../../ingest/append/batch.ts';
import type { Principal } from '../auth/access.ts';
import { BATCH_LIMIT } from '../http/limits.ts';
import { type FieldError, Invalid, Problem } from '../http/problem.ts';
import type { StreamSummary } from './streamed-body.ts';

/** Checks the number of items in a body. `hint`: what they are, and what to do. @throws Problem 413 */
export function requireBatch({ length }: readonly unknown[], hint: string): void {
  if (length > BATCH_LIMIT) throw new Problem(413, `more than ${BATCH_LIMIT} ${hint}`);
}

/**
 * The scope from which ids are derived if the sender gave an `Idempotency-Key`; null without one.
 * @param places the positions of the items in the request
 */
export function idempotencyOf(
  { id }: Principal,
  key: string | undefined,
  places: readonly number[] | null = null,
): Idempotency | null {
  return key === undefined ? null : { scope: `${id ?? ''}\0${key}`, places };
}

/**
 * Returns the results, unless no item could be stored. Then the request fails, for senders who look only at
 * the status.
 * @throws Problem 403 if the key may send none of the items, Invalid
 */
export function somethingStored(results: ItemResult[]): ItemResult[] {
  if (results.length === 0 || results.some(({ status }) => status !== 'invalid')) return results;
  if (results.every((result) => result.status === 'invalid' && result.forbidden)) throw new Forbidden();
  throw new Invalid(
    results.flatMap((result, i) => errorsAt(i, result.status === 'invalid' ? result.errors : [])),
  );
}

/** The key has no permission for any of the sources in the request. */
export class Forbidden extends Problem {
  constructor() {
    super(403, 'the key may not send for this source');
  }
}

/**
 * Converts the outcome of a stream into the form that the API answers. @throws Invalid as `somethingStored`
 */
export function showStream({ refused, ...counts }: StreamSummary) {
  if (counts.invalid > 0 && counts.stored + counts.duplicate === 0) {
    throw new Invalid(refused.flatMap(({ index, errors }) => errorsAt(index, errors)));
  }
  return { ...counts, results: refused.map((item) => ({ status: 'invalid' as const, ...item })) };
}

/** Renames the fields in errors to the names that the sender's format uses. */
export function renamed(results: ItemResult[], names: Readonly<Record<string, string>>): ItemResult[] {
  return results.map((result) =>
    result.status === 'invalid'
      ? {
          ...result,
          errors: result.errors.map((error) => ({
            ...error,
            // `hasOwn`, because a sender may name a field `constructor`, which every object inherits.
            field: Object.hasOwn(names, error.field) ? names[error.field]! : error.field,
          })),
        }
      : result,
  );
}

/** Makes the errors of an item, with its position in the request. */
export const errorsAt = (index: number, errors: readonly FieldError[]): FieldError[] =>
  errors.map(({ field, reason }) => ({ field: field ? `${index}.${field}` : String(index), reason }));
