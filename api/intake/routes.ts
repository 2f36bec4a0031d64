import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { eventInput } from '../../ingest/append/validate.ts';
import type { Mapped } from '../../ingest/formats/mapped.ts';
import type { Principal } from '../auth/access.ts';
import type { ApiDeps } from '../deps.ts';
import { readJson } from '../http/body/json.ts';
import { EVENT_LIMIT } from '../http/limits.ts';
import { idempotencyKey } from '../http/parameters.ts';
import { Invalid } from '../http/problem.ts';
import { type Route, route } from '../http/route.ts';
import {
  batchOut,
  duplicateOut,
  eventOut,
  showBatch,
  showDuplicate,
  showEvent,
} from '../resources/events/schema.ts';
import { Forbidden, idempotencyOf, renamed, showStream, somethingStored } from './batch.ts';
import { eventsBody, type Names } from './event-bodies.ts';
import { Intake } from './intake.ts';
import { LINES, storeStream } from './streamed-body.ts';

const oneAnswer = {
  201: { description: 'Stored', schema: eventOut },
  200: {
    description:
      'The event was stored before; the answer contains the stored event. If the stored event differs from the one sent, only a key with the role `read` gets it; other keys get its id.',
    schema: z.union([eventOut, duplicateOut]),
  },
};

/** Headers of a CloudEvent in binary mode. Its extensions are headers of the same form. */
const cloudEventHeaders = Object.fromEntries(
  ['specversion', 'id', 'source', 'type', 'time', 'subject', 'severity'].map((name) => [
    `ce-${name}`,
    z.string().optional(),
  ]),
);

/** Says whether the sender wants a body in the answer (RFC 7240). */
function wantsRepresentation({ headers }: IncomingMessage): boolean {
  return /(?:^|[,;\s])return\s*=\s*"?representation\b/i.test(String(headers.prefer ?? ''));
}

/** Routes that store events sent over HTTP. */
export function ingestRoutes(deps: ApiDeps): Route[] {
  const intake = new Intake(deps);

  async function storeOne(principal: Principal, item: Mapped, names: Names, key?: string) {
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
      headers: idempotencyKey.extend(cloudEventHeaders).extend({ prefer: z.string().optional() }),
      body: eventsBody,
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
        const isQuiet = body.kind !== 'lines' && body.isCloudEvent && !wantsRepresentation(request);
        if (body.kind === 'one') {
          const answer = await storeOne(principal, body.item, body.names, key);
          return isQuiet ? { status: 202 } : answer;
        }
        if (body.kind === 'lines') {
          const summary = await storeStream(body.body, LINES, (items, places) =>
            intake.store(
              principal,
              items.map((event) => ({ event })),
              idempotencyOf(principal, key, places),
            ),
          );
          return { status: 200, body: showStream(summary) };
        }
        const results = await intake.store(principal, body.items, idempotencyOf(principal, key));
        const shown = showBatch(somethingStored(renamed(results, body.names)));
        if (!isQuiet) return { status: 200, body: shown };
        const refused = shown.invalid > 0 ? { 'Tocsin-Refused': String(shown.invalid) } : undefined;
        return { status: 202, ...(refused ? { headers: refused } : {}) };
      },
    }),
  ];
}
