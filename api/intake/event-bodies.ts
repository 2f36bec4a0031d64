import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { eventInput } from '../../ingest/append/validate.ts';
import { CLOUDEVENT_NAMES, fromBinaryCloudEvent, fromCloudEvent } from '../../ingest/formats/cloudevents.ts';
import type { Mapped } from '../../ingest/formats/mapped.ts';
import type { Body } from '../http/body/body.ts';
import { readJson } from '../http/body/json.ts';
import { BATCH_BODY_LIMIT, BATCH_LIMIT, EVENT_LIMIT } from '../http/limits.ts';
import { Invalid, Problem } from '../http/problem.ts';
import type { BodySpec } from '../http/route.ts';

/** The content of a request: one event, several, or a stream that is read while it is stored. */
type Brought =
  | { kind: 'one'; item: Mapped; names: Names; isCloudEvent: boolean }
  | { kind: 'batch'; items: Mapped[]; names: Names; isCloudEvent: boolean }
  | { kind: 'lines'; body: Body };

/** The sender's names for our fields, where its format has different ones. */
export type Names = Readonly<Record<string, string>>;

export const NDJSON = [
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
];

const OWN = { names: {}, isCloudEvent: false } as const;
const CLOUD = { names: CLOUDEVENT_NAMES, isCloudEvent: true } as const;

const CLOUDEVENT = 'application/cloudevents+json';
const CLOUDEVENTS = 'application/cloudevents-batch+json';

/** A CloudEvent in JSON, for OpenAPI. The CloudEvents SDK's schema does the validation. */
const cloudEvent = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: z.string().min(1),
    source: z.string().min(1),
    type: z.string().min(1),
    time: z.iso.datetime({ offset: true }).optional(),
    subject: z.string().optional(),
    severity: z.string().max(32).optional(),
    data: z.unknown().optional(),
    data_base64: z.base64().optional(),
  })
  .meta({ id: 'CloudEvent', description: 'CloudEvents 1.0, JSON format' });

/**
 * The body of POST /events: our own events, or CloudEvents. Binary mode is recognized by its headers,
 * whatever the media type.
 */
export const eventsBody: BodySpec<Brought> = {
  content: {
    'application/json': z.union([eventInput, z.array(eventInput).max(BATCH_LIMIT)]),
    ...Object.fromEntries(NDJSON.map((type) => [type, z.string()])),
    [CLOUDEVENT]: cloudEvent,
    [CLOUDEVENTS]: z.array(cloudEvent).max(BATCH_LIMIT),
  },
  optional: false,
  async read(body, request) {
    if (NDJSON.includes(body.type)) return { kind: 'lines', body };
    if (body.type === CLOUDEVENT) {
      const item = fromCloudEvent(await readJson(body, EVENT_LIMIT, 'mended'));
      return { kind: 'one', item, ...CLOUD };
    }
    if (isBinary(request)) {
      const item = fromBinaryCloudEvent(request.headers, await body.bytes(EVENT_LIMIT));
      return { kind: 'one', item, ...CLOUD };
    }
    const batched = body.type === CLOUDEVENTS;
    const raw = await readJson(body, BATCH_BODY_LIMIT, 'mended');
    if (!Array.isArray(raw)) {
      if (batched) throw new Invalid([{ field: 'body', reason: 'must be an array of CloudEvents' }]);
      return { kind: 'one', item: { event: raw }, ...OWN };
    }
    if (raw.length > BATCH_LIMIT) {
      throw new Problem(413, `more than ${BATCH_LIMIT} events: send them in parts, or as NDJSON`);
    }
    if (batched) return { kind: 'batch', items: raw.map(fromCloudEvent), ...CLOUD };
    return { kind: 'batch', items: raw.map((event) => ({ event })), ...OWN };
  },
};

/**
 * Says whether the headers contain a CloudEvent (binary mode). If the media type says structured or batched,
 * that takes precedence.
 */
function isBinary({ headers }: IncomingMessage): boolean {
  const type = headers['content-type'] ?? '';
  return headers['ce-specversion'] !== undefined && !/^application\/cloudevents/i.test(type);
}
