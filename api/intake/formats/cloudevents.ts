import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import {
  CLOUDEVENT_NAMES,
  fromBinaryCloudEvent,
  fromCloudEvent,
} from '../../../ingest/formats/cloudevents.ts';
import { readJson } from '../../http/body/json.ts';
import { BATCH_BODY_LIMIT, BATCH_LIMIT, EVENT_LIMIT } from '../../http/limits.ts';
import { Invalid } from '../../http/problem.ts';
import { requireBatch } from '../batch.ts';
import type { Format } from './format.ts';

const STRUCTURED = 'application/cloudevents+json';
const BATCHED = 'application/cloudevents-batch+json';

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

/** Headers of a CloudEvent in binary mode. Its extensions are headers of the same form. */
const attributeHeaders = Object.fromEntries(
  ['specversion', 'id', 'source', 'type', 'time', 'subject', 'severity'].map((name) => [
    `ce-${name}`,
    z.string().optional(),
  ]),
);

/** CloudEvents 1.0: a single event in structured or binary mode, or a batch. */
export const cloudEvents: Format = {
  name: 'CloudEvents',
  body: {
    content: { [STRUCTURED]: cloudEvent, [BATCHED]: z.array(cloudEvent).max(BATCH_LIMIT) },
    headers: { ...attributeHeaders, prefer: z.string().optional() },
    names: CLOUDEVENT_NAMES,
    takes: (type, request) => type === STRUCTURED || type === BATCHED || isBinary(request),
    async read(body, request) {
      if (body.type === STRUCTURED) return fromCloudEvent(await readJson(body, EVENT_LIMIT, 'mended'));
      if (isBinary(request)) return fromBinaryCloudEvent(request.headers, await body.bytes(EVENT_LIMIT));
      const raw = await readJson(body, BATCH_BODY_LIMIT, 'mended');
      if (!Array.isArray(raw)) {
        throw new Invalid([{ field: 'body', reason: 'must be an array of CloudEvents' }]);
      }
      requireBatch(raw, 'events: send them in parts, or as NDJSON');
      return raw.map(fromCloudEvent);
    },
    // Senders of CloudEvents would read a body as an event in reply.
    isQuiet: (request) => !wantsRepresentation(request),
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

/** Says whether the sender wants a body in the answer (RFC 7240). */
function wantsRepresentation({ headers }: IncomingMessage): boolean {
  return /(?:^|[,;\s])return\s*=\s*"?representation\b/i.test(String(headers.prefer ?? ''));
}
