import { z } from 'zod';
import type { ItemResult } from '../../ingest/batch.ts';
import { eventInput } from '../../ingest/validate.ts';
import type { Principal } from '../access.ts';
import type { Body } from '../body/body.ts';
import { readJson } from '../body/json.ts';
import type { ApiDeps } from '../deps.ts';
import { Intake } from '../intake.ts';
import { BATCH_BODY_LIMIT, BATCH_LIMIT, EVENT_LIMIT } from '../limits.ts';
import { Invalid, Problem } from '../problem.ts';
import { type BodySpec, type Route, route } from '../route.ts';
import { batchOut, eventOut, showBatch, showEvent } from '../schemas/event.ts';
import { type StreamSummary, storeLines } from '../stream.ts';

const NDJSON = ['application/x-ndjson', 'application/ndjson', 'application/jsonl', 'application/x-jsonlines'];

/** What a request brought: one event, several, or a stream that is read only while it is stored. */
type Brought =
  | { kind: 'one'; input: unknown }
  | { kind: 'batch'; inputs: unknown[] }
  | { kind: 'lines'; body: Body };

const events: BodySpec<Brought> = {
  content: {
    'application/json': z.union([eventInput, z.array(eventInput).max(BATCH_LIMIT)]),
    ...Object.fromEntries(NDJSON.map((type) => [type, z.string()])),
  },
  optional: false,
  async read(body) {
    if (NDJSON.includes(body.type)) return { kind: 'lines', body };
    const raw = await readJson(body, BATCH_BODY_LIMIT);
    if (!Array.isArray(raw)) return { kind: 'one', input: raw };
    if (raw.length > BATCH_LIMIT) {
      throw new Problem(413, `more than ${BATCH_LIMIT} events: send them in parts, or as NDJSON`);
    }
    return { kind: 'batch', inputs: raw };
  },
};

const oneAnswer = {
  201: { description: 'Stored', schema: eventOut },
  200: { description: 'Stored before: the event as it is stored', schema: eventOut },
};

const idempotencyKey = z.object({
  'idempotency-key': z.string().max(255).optional().meta({
    description:
      'Events without an `event_id` get theirs from this and from their place, so that the same request may be sent again',
  }),
});

/** The way in for senders over HTTP. */
export function ingestRoutes(deps: ApiDeps): Route[] {
  const intake = new Intake(deps);

  async function storeOne(principal: Principal, input: unknown, key?: string) {
    const [result] = await intake.store(principal, [input], idempotencyOf(principal, key));
    if (result!.status === 'invalid') throw new Invalid(result!.errors);
    return { status: result!.status === 'stored' ? 201 : 200, body: showEvent(result!.event) } as const;
  }

  return [
    route({
      method: 'post',
      path: '/internal/events',
      role: 'ingest',
      tags: ['events'],
      summary: 'Store one event',
      description:
        'Answers once the event is committed. Sending the same `event_id` again stores nothing and answers 200 with the ' +
        'stored event, so every sender may retry. A 503 means that it may or may not be stored: send it again.',
      headers: z.object({ 'x-ingest-token': z.string().optional() }),
      token: true,
      body: {
        content: { 'application/json': eventInput },
        optional: false,
        read: (body) => readJson(body, EVENT_LIMIT),
      },
      responses: oneAnswer,
      handle: ({ body, principal }) => storeOne(principal, body),
    }),
    route({
      method: 'post',
      path: '/events',
      role: 'ingest',
      tags: ['events'],
      summary: 'Store events',
      description:
        'One event, an array of up to 10,000, or NDJSON of any length, which is stored while it comes; gzip, zstd or deflate. Answers once ' +
        'everything is committed, with what became of each item: one that is invalid costs the others nothing. ' +
        'Whatever fails with 429 or 503 may be sent again as it was, if its events have ids or it carries an `Idempotency-Key`.',
      headers: idempotencyKey,
      body: events,
      responses: {
        201: { description: 'One event, stored', schema: eventOut },
        200: {
          description: 'One event that was stored before, or what became of several',
          schema: z.union([eventOut, batchOut]),
        },
      },
      async handle({ body, principal, request }) {
        const key = request.headers['idempotency-key'] as string | undefined;
        if (body.kind === 'one') return storeOne(principal, body.input, key);
        if (body.kind === 'lines') {
          const summary = await storeLines(body.body, (items, places) =>
            intake.store(principal, items, idempotencyOf(principal, key, places)),
          );
          return { status: 200, body: showStream(summary) };
        }
        const results = await intake.store(principal, body.inputs, idempotencyOf(principal, key));
        return { status: 200, body: showBatch(somethingStored(results)) };
      },
    }),
  ];
}

function idempotencyOf({ id }: Principal, key: string | undefined, places: readonly number[] | null = null) {
  return key === undefined ? null : { scope: `${id ?? ''}\0${key}`, places };
}

/** A batch of which nothing could be taken has failed, for senders who look at no more than the status. @throws Invalid */
function somethingStored(results: ItemResult[]): ItemResult[] {
  if (results.length === 0 || results.some(({ status }) => status !== 'invalid')) return results;
  throw new Invalid(results.flatMap((result, i) => at(i, result.status === 'invalid' ? result.errors : [])));
}

function showStream({ refused, ...counts }: StreamSummary) {
  if (counts.invalid > 0 && counts.stored + counts.duplicate === 0) {
    throw new Invalid(refused.flatMap(({ index, errors }) => at(index, errors)));
  }
  return { ...counts, results: refused.map((item) => ({ status: 'invalid' as const, ...item })) };
}

const at = (index: number, errors: readonly { field: string; reason: string }[]) =>
  errors.map(({ field, reason }) => ({ field: field ? `${index}.${field}` : String(index), reason }));
