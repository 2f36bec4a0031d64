import { z } from 'zod';
import { eventInput } from '../../../ingest/append/validate.ts';
import type { Converted } from '../../../ingest/formats/converted.ts';
import type { Principal } from '../../auth/access.ts';
import type { Body } from '../../http/body/body.ts';
import { readJson } from '../../http/body/json.ts';
import { BATCH_BODY_LIMIT, BATCH_LIMIT, EVENT_LIMIT } from '../../http/limits.ts';
import { idempotencyKey } from '../../http/parameters.ts';
import { Invalid } from '../../http/problem.ts';
import { type BodySpec, type Route, route } from '../../http/route.ts';
import {
  batchOut,
  duplicateOut,
  eventOut,
  showBatch,
  showDuplicate,
  showEvent,
} from '../../resources/events/schema.ts';
import { Forbidden, idempotencyOf, renamed, requireBatch, showStream, somethingStored } from '../batch.ts';
import { LINES, NDJSON, storeStream } from '../streamed-body.ts';
import type { EventsBody, Format, FormatDeps, Names } from './format.ts';

/** The content of a request: one item, a batch, or a stream that is read while it is stored. */
type Brought =
  | { lines: Body }
  | { items: Converted | Converted[]; form: Pick<EventsBody, 'names' | 'isQuiet'> };

const OWN = { names: {}, isQuiet: () => false };

/** Accepts our own JSON, NDJSON, or what another format accepts. */
function eventsBody(others: readonly EventsBody[]): BodySpec<Brought> {
  return {
    content: {
      'application/json': z.union([eventInput, z.array(eventInput).max(BATCH_LIMIT)]),
      ...Object.fromEntries(NDJSON.map((type) => [type, z.string()])),
      ...Object.assign({}, ...others.map(({ content }) => content)),
    },
    optional: false,
    async read(body, request) {
      if (NDJSON.includes(body.type)) return { lines: body };
      const form = others.find((other) => other.takes(body.type, request));
      if (form) return { items: await form.read(body, request), form };
      const raw = await readJson(body, BATCH_BODY_LIMIT, 'mended');
      if (!Array.isArray(raw)) return { items: { event: raw }, form: OWN };
      requireBatch(raw, 'events: send them in parts, or as NDJSON');
      return { items: raw.map((event) => ({ event })), form: OWN };
    },
  };
}

const oneAnswer = {
  201: { description: 'Stored', schema: eventOut },
  200: {
    description:
      'The event was stored before; the answer contains the stored event. If the stored event differs from the one sent, only a key with the role `read` gets it; other keys get its id.',
    schema: z.union([eventOut, duplicateOut]),
  },
};

/** Our own JSON and NDJSON. `POST /events` also takes the bodies of other formats. */
export const ownJson: Format = { name: 'own JSON', routes: ownJsonRoutes };

function ownJsonRoutes({ intake, bodies }: FormatDeps): Route[] {
  async function storeOne(principal: Principal, item: Converted, names: Names, key?: string) {
    const results = await intake.store(principal, [item], idempotencyOf(principal, key));
    const [result] = renamed(results, names);
    if (result!.status === 'invalid') throw result!.forbidden ? new Forbidden() : new Invalid(result!.errors);
    if (result!.status === 'stored') return { status: 201, body: showEvent(result!.event) } as const;
    return { status: 200, body: showDuplicate(result!, principal.roles.includes('read')) } as const;
  }

  return [
    route({
      method: 'post',
      path: '/internal/events',
      role: 'ingest',
      tags: ['events'],
      summary: 'Store one event',
      description:
        'The API answers after the event is committed. If you send the same `event_id` again, nothing is stored and the answer is 200 with the ' +
        'stored event, so every sender may retry. After a 503 the event may or may not be stored: send it again.',
      headers: z.object({ 'x-ingest-token': z.string().optional() }),
      token: true,
      body: {
        content: { 'application/json': eventInput },
        optional: false,
        read: (body) => readJson(body, EVENT_LIMIT, 'mended'),
      },
      responses: oneAnswer,
      handle: ({ body, principal }) => storeOne(principal, { event: body }, {}),
    }),
    route({
      method: 'post',
      path: '/events',
      role: 'ingest',
      tags: ['events'],
      summary: 'Store events',
      description:
        'The body is one event, an array of up to 10,000 events, NDJSON of any length (stored while it is received), or CloudEvents 1.0 in binary, structured ' +
        'or batched mode. It may be compressed with gzip, zstd or deflate. The API answers after ' +
        'everything is committed, with a result for each item. An invalid item does not affect the others. ' +
        'After a 429 or 503, send the same request again: events with an `event_id`, and requests with an `Idempotency-Key`, are stored once.',
      headers: idempotencyKey.extend(Object.assign({}, ...bodies.map(({ headers }) => headers))),
      body: eventsBody(bodies),
      responses: {
        201: { description: 'One event, stored', schema: eventOut },
        200: {
          description: 'One event that was stored before, or the results of several',
          schema: z.union([eventOut, batchOut, duplicateOut]),
        },
        202: {
          description:
            'CloudEvents were stored. The answer has no body, because CloudEvents senders read a body as an event in reply. With `Prefer: return=representation` you get the same answer as for other formats.',
          headers: {
            'Tocsin-Refused': { description: 'How many items of the batch were refused; absent if none' },
          },
        },
      },
      async handle({ body, principal, request }) {
        const key = request.headers['idempotency-key'] as string | undefined;
        if ('lines' in body) {
          const summary = await storeStream(body.lines, LINES, (items, places) =>
            intake.store(
              principal,
              items.map((event) => ({ event })),
              idempotencyOf(principal, key, places),
            ),
          );
          return { status: 200, body: showStream(summary) };
        }
        const { items, form } = body;
        const isQuiet = form.isQuiet(request);
        if (!Array.isArray(items)) {
          const answer = await storeOne(principal, items, form.names, key);
          return isQuiet ? { status: 202 } : answer;
        }
        const results = await intake.store(principal, items, idempotencyOf(principal, key));
        const shown = showBatch(somethingStored(renamed(results, form.names)));
        if (!isQuiet) return { status: 200, body: shown };
        const refused = shown.invalid > 0 ? { 'Tocsin-Refused': String(shown.invalid) } : undefined;
        return { status: 202, ...(refused ? { headers: refused } : {}) };
      },
    }),
  ];
}
