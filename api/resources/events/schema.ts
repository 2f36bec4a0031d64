import { z } from 'zod';
import { isStorable } from '../../../db/storable.ts';
import type { Event } from '../../../domain/events/event.ts';
import type { PayloadTest } from '../../../domain/events/filter.ts';
import { endOfPath, parsePath } from '../../../domain/events/path.ts';
import type { ItemResult } from '../../../ingest/append/batch.ts';
import { time } from '../../http/parameters.ts';
import { keyedBelow } from '../../http/route.ts';

/** The query parameters that filter events. */
export const eventFilter = {
  severity: z.string().optional(),
  source_id: z.string().optional(),
  event_type: z.string().optional(),
  payload: keyedBelow(
    z
      .array(z.string().max(1300))
      .max(50)
      .transform(payloadTests)
      .optional()
      .meta({
        description:
          'A payload value as `path=value`. The parameter may be repeated; an event must match all of them. Examples: `host.name=web-1`, `disks.0.free=12`, `labels["app.kubernetes.io/name"]=shop`. `payload.host.name=web-1` means the same as `payload=host.name=web-1`. An index selects an item of a list; a negative index counts from the end. Write strings without quotes, numbers with all digits (`1000000000000000000000`), and lists and objects as PostgreSQL prints them (`[1, 2]`).',
        override: { type: 'array', maxItems: 50, items: { type: 'string' } },
        param: { style: 'form', explode: true },
      }),
  ),
};

export const eventOut = z
  .object({
    id: z.uuid().meta({ description: 'Equals event_id' }),
    event_id: z.uuid(),
    source_id: z.string(),
    timestamp: time,
    severity: z.string(),
    event_type: z.string(),
    payload: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Event' });

/** Converts an event into the form that the API answers. */
export function showEvent({ event_id, occurred_at, ...rest }: Event): z.output<typeof eventOut> {
  return {
    id: event_id,
    event_id,
    source_id: rest.source_id,
    timestamp: new Date(occurred_at).toISOString(),
    severity: rest.severity,
    event_type: rest.event_type,
    payload: rest.payload,
  };
}

/**
 * The answer if the stored event with the same id differs from the one sent, and the sender may not read
 * events.
 */
export const duplicateOut = z
  .strictObject({ id: z.uuid(), event_id: z.uuid(), duplicate: z.literal(true) })
  .meta({ id: 'DuplicateEvent' });

/** Converts an event that was stored before, for a sender that sent its id again. */
export function showDuplicate({ event, same }: { event: Event; same: boolean }, mayRead: boolean) {
  if (same || mayRead) return showEvent(event);
  const { event_id } = event;
  return { id: event_id, event_id, duplicate: true as const };
}

/**
 * Parses `path=value` into tests of the payload. If a path is repeated, its last value counts, as with every
 * parameter.
 */
function payloadTests(given: string[], context: z.RefinementCtx): PayloadTest[] {
  const tests = new Map<string, PayloadTest>();
  for (const text of given) {
    const end = endOfPath(text);
    if (end < 0) context.addIssue({ code: 'custom', message: 'must be path=value' });
    else {
      const path = parsePath(text.slice(0, end)).keys;
      if (!path.every(isStorable)) {
        context.addIssue({ code: 'custom', message: 'must not contain NUL or broken surrogates' });
      }
      tests.set(JSON.stringify(path), { path, value: text.slice(end + 1) });
    }
  }
  return [...tests.values()];
}

const fieldErrors = z.array(z.object({ field: z.string(), reason: z.string() }));

/** The results of the items of a request. */
export const batchOut = z
  .object({
    stored: z.int().meta({ description: 'How many events are new' }),
    duplicate: z.int().meta({ description: 'How many events were stored before' }),
    invalid: z.int().meta({ description: 'How many items were refused' }),
    results: z
      .array(
        z.union([
          z.object({ status: z.enum(['stored', 'duplicate']), event_id: z.uuid() }),
          z.object({ status: z.literal('invalid'), index: z.int(), errors: fieldErrors }),
        ]),
      )
      .meta({
        description:
          'One result per item, in order. For a stream (NDJSON) only the first 1,000 refused lines.',
      }),
  })
  .meta({ id: 'Batch' });

/** Converts results into the form that the API answers. */
export function showBatch(results: readonly ItemResult[]): z.input<typeof batchOut> {
  const counts = { stored: 0, duplicate: 0, invalid: 0 };
  const shown = results.map((result, index) => {
    counts[result.status]++;
    if (result.status === 'invalid') return { status: result.status, index, errors: result.errors };
    return { status: result.status, event_id: result.event.event_id };
  });
  return { ...counts, results: shown };
}
