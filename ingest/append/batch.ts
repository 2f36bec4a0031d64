import { isDeepStrictEqual } from 'node:util';
import { v5 as uuidv5 } from 'uuid';
import type { Event } from '../../domain/events/event.ts';
import { isReserved } from '../../domain/reserved-id.ts';
import type { Converted } from '../formats/converted.ts';
import type { Ingest } from '../outcome.ts';
import { type InvalidEvent, type ValidationLimits, validateEvent } from './validate.ts';

/** The result of one item of a request. */
export type ItemResult =
  | { status: 'stored'; event: Event }
  /**
   * `same`: the stored event equals the one sent. Otherwise a sender who may not read events gets only its
   * id.
   */
  | { status: 'duplicate'; event: Event; same: boolean }
  /** `forbidden`: the key may not send events for that source. */
  | { status: 'invalid'; errors: InvalidEvent[]; forbidden?: true };

/** An Idempotency-Key: items without `event_id` derive one from the key and their position. */
export interface Idempotency {
  /** The key together with the sender, so that equal keys of different senders differ. */
  scope: string;
  /** The positions of the items in the request; null if they are consecutive from 0. */
  places: readonly number[] | null;
}

/** The namespace of ids made from idempotency keys (UUIDv5). */
const IDEMPOTENT = '6f0d7c3a-5b52-4f0e-9a51-0d9c7a4de6b1';

interface Valid {
  index: number;
  event: Event;
  timeGiven: boolean;
  /** True if the id was derived from the idempotency key. */
  derived: boolean;
}

/**
 * Validates the items of a request, fixes their identity, and stores the valid ones in one commit. Results
 * are in the order of the items. An invalid item does not affect the others.
 * @throws BufferFull, StoreUnavailable: the events may or may not be stored
 */
export async function storeBatch(
  ingest: Ingest,
  items: readonly Converted[],
  limits: ValidationLimits,
  idempotency: Idempotency | null = null,
): Promise<ItemResult[]> {
  const results: ItemResult[] = new Array(items.length);
  const valid: Valid[] = [];
  for (const [index, item] of items.entries()) {
    if ('invalid' in item) {
      results[index] = { status: 'invalid', errors: item.invalid };
      continue;
    }
    const id = idempotency ? derivedId(item.event, idempotency, index) : null;
    const input = id ? { ...(item.event as object), event_id: id } : item.event;
    const validated = validateEvent(input, limits, item.lenient);
    if ('invalid' in validated) results[index] = { status: 'invalid', errors: validated.invalid };
    else if (id === null && isReserved(validated.event.event_id)) results[index] = notYours();
    else valid.push({ index, ...validated, derived: id !== null });
  }
  const agreed = await agreeOnTimes(ingest, valid, results);
  const outcomes = await ingest.accept(agreed.map(({ event }) => event));
  for (const [i, outcome] of outcomes.entries()) {
    const { index, event, derived } = agreed[i]!;
    if (outcome.status === 'invalid') {
      results[index] = { status: 'invalid', errors: [{ field: outcome.field, reason: outcome.reason }] };
    } else if (derived && outcome.status === 'duplicate') {
      // A repeated request gets the same answer as the first one.
      results[index] = isDeepStrictEqual(outcome.event, event)
        ? { status: 'stored', event: outcome.event }
        : reused();
    } else if (outcome.status === 'duplicate') {
      results[index] = { ...outcome, same: saysTheSame(outcome.event, event) };
    } else results[index] = outcome;
  }
  return results;
}

/** Derives the id of an item that has none. Null if it has one, or if it is no object. */
function derivedId(input: unknown, { scope, places }: Idempotency, index: number): string | null {
  if (input === null || typeof input !== 'object' || Array.isArray(input) || 'event_id' in input) return null;
  return uuidv5(`${scope}\0${places?.[index] ?? index}`, IDEMPOTENT);
}

/**
 * Fixes the time of events that have an id but no time. A derived id fixes its time even if the item has one:
 * a request with another time is not the same request.
 */
async function agreeOnTimes(
  ingest: Ingest,
  valid: readonly Valid[],
  results: ItemResult[],
): Promise<readonly Valid[]> {
  const claims = valid.filter(({ timeGiven, derived }) => !timeGiven || derived);
  if (claims.length === 0) return valid;
  const times = await ingest.claimTimes(claims.map(({ event }) => event));
  const refused = new Set<Valid>();
  for (const [i, claim] of claims.entries()) {
    if (!claim.timeGiven) claim.event.occurred_at = times[i]!;
    else if (claim.event.occurred_at !== times[i]) {
      results[claim.index] = reused();
      refused.add(claim);
    }
  }
  return refused.size > 0 ? valid.filter((event) => !refused.has(event)) : valid;
}

/** Says whether two events with the same identity are equal. */
function saysTheSame(a: Event, b: Event): boolean {
  return (
    a.source_id === b.source_id &&
    a.severity === b.severity &&
    a.event_type === b.event_type &&
    isDeepStrictEqual(a.payload, b.payload)
  );
}

const notYours = (): ItemResult => ({
  status: 'invalid',
  errors: [{ field: 'event_id', reason: 'is reserved for events that Tocsin stores itself' }],
});

const reused = (): ItemResult => ({
  status: 'invalid',
  errors: [{ field: '', reason: 'the Idempotency-Key was used for another event' }],
});
