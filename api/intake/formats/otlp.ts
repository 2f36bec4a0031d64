import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { ItemResult } from '../../../ingest/append/batch.ts';
import type { Converted } from '../../../ingest/formats/converted.ts';
import { countRecords, fromExport } from '../../../ingest/formats/otlp.ts';
import {
  BAD_REQUEST,
  decodeExport,
  encodeResponse,
  encodeStatus,
  hasMoreMessages,
} from '../../../ingest/formats/otlp-proto.ts';
import { Flaw } from '../../../ingest/formats/otlp-value.ts';
import { parseJson, utf8 } from '../../http/body/body.ts';
import { EXPORT_BODY_LIMIT, EXPORT_LIMIT, OBJECTS_LIMIT } from '../../http/limits.ts';
import { Malformed, Problem, TooManyObjects } from '../../http/problem.ts';
import { type BodySpec, type Dialect, type Route, route } from '../../http/route.ts';
import type { Format, FormatDeps } from './format.ts';

const JSON_TYPE = 'application/json';
const PROTOBUF = 'application/x-protobuf';

/** Signals that OpenTelemetry exports besides logs. Profiles are experimental. */
const OTHER_SIGNALS = {
  '/v1/traces': 'traces',
  '/v1/metrics': 'metrics',
  '/v1development/profiles': 'profiles',
};

/** The `google.rpc.Code` for an HTTP status. Other statuses become INTERNAL or INVALID_ARGUMENT. */
const CODES: Readonly<Record<number, number>> = { 401: 16, 403: 7, 404: 5, 408: 4, 413: 8, 429: 8, 503: 14 };

const statusOut = z
  .object({
    code: z.int(),
    message: z.string(),
    details: z
      .array(
        z.object({
          '@type': z.literal(BAD_REQUEST),
          fieldViolations: z.array(z.object({ description: z.string() })),
        }),
      )
      .optional()
      .meta({ description: 'With 400: what is wrong with the data, as `google.rpc.BadRequest`' }),
  })
  .meta({ id: 'RpcStatus' });

/** Errors as OTLP requires: `google.rpc.Status` in the media type of the request. */
const rpcStatus: Dialect = {
  content: { [JSON_TYPE]: statusOut, [PROTOBUF]: z.string() },
  invalid: 400,
  say({ message }, status, request) {
    const code = CODES[status] ?? (status < 500 ? 3 : 13);
    const violations = status === 400 ? [{ description: message }] : [];
    if (isProtobuf(request)) return { type: PROTOBUF, body: encodeStatus(code, message, violations) };
    const details =
      violations.length > 0 ? { details: [{ '@type': BAD_REQUEST, fieldViolations: violations }] } : {};
    return { type: JSON_TYPE, body: JSON.stringify({ code, message, ...details }) };
  },
};

const exported: BodySpec<Converted[]> = {
  content: {
    [JSON_TYPE]: z.looseObject({ resourceLogs: z.array(z.unknown()).optional() }),
    [PROTOBUF]: z.string(),
  },
  // In protobuf, an empty export has no bytes.
  optional: true,
  async read(body, request) {
    body.expect(JSON_TYPE, PROTOBUF);
    const bytes = await body.bytes(EXPORT_BODY_LIMIT);
    const given = isProtobuf(request) ? protobuf(bytes) : parseJson(utf8(bytes, 'mended'), 'mended');
    try {
      if (countRecords(given) > EXPORT_LIMIT) {
        throw new Problem(413, `more than ${EXPORT_LIMIT} log records: export them in smaller batches`);
      }
      return fromExport(given);
    } catch (error) {
      if (error instanceof Flaw) throw new Malformed(`the body is not an export of logs: ${error.message}`);
      throw error;
    }
  },
};

function protobuf(bytes: Buffer): unknown {
  try {
    if (hasMoreMessages(bytes, OBJECTS_LIMIT)) throw new TooManyObjects();
    return decodeExport(bytes);
  } catch (error) {
    if (error instanceof TooManyObjects) throw error;
    throw new Malformed(`the body is not an export of logs in protobuf: ${(error as Error).message}`);
  }
}

const responseOut = z
  .object({
    partialSuccess: z.object({ rejectedLogRecords: z.string(), errorMessage: z.string() }).optional(),
  })
  .meta({ id: 'ExportLogsServiceResponse' });

/** OTLP over HTTP, for logs (https://opentelemetry.io/docs/specs/otlp/). */
export const otlp: Format = { name: 'OpenTelemetry logs', routes: otlpRoutes };

function otlpRoutes({ intake }: FormatDeps): Route[] {
  return [
    route({
      method: 'post',
      path: '/v1/logs',
      role: 'ingest',
      tags: ['events'],
      summary: 'Store OpenTelemetry log records (OTLP)',
      description:
        'An `ExportLogsServiceRequest` as JSON or protobuf. It may be compressed with gzip, zstd or deflate. The API answers after everything is committed. Refused records ' +
        'are counted in `partialSuccess` and do not affect the others. A record with a time is stored once, however often it is sent.',
      body: exported,
      responses: {
        200: {
          description: 'Stored, except for the records that `partialSuccess` counts',
          schema: responseOut,
          media: [JSON_TYPE, PROTOBUF],
        },
      },
      dialect: rpcStatus,
      async handle({ body, principal, request }) {
        const rejected = rejectedOf(await intake.store(principal, body));
        if (isProtobuf(request)) return { status: 200, type: PROTOBUF, body: encodeResponse(rejected) };
        const partialSuccess = rejected && {
          rejectedLogRecords: String(rejected.count),
          errorMessage: rejected.message,
        };
        return {
          status: 200,
          type: JSON_TYPE,
          body: JSON.stringify(partialSuccess ? { partialSuccess } : {}),
        };
      },
    }),
    ...Object.entries(OTHER_SIGNALS).map(([path, signal]) =>
      route({
        method: 'post',
        path,
        role: null,
        tags: ['events'],
        summary: `Not supported: OpenTelemetry ${signal}`,
        description: `Always answers 404 in OTLP’s form, so exporters do not retry. To stop the requests, set \`OTEL_${signal.toUpperCase()}_EXPORTER=none\`.`,
        responses: {},
        problems: [404],
        dialect: rpcStatus,
        handle: async () => {
          throw new Problem(404, `Tocsin accepts logs but no ${signal}: export them elsewhere`);
        },
      }),
    ),
  ];
}

function isProtobuf({ headers }: IncomingMessage): boolean {
  return (headers['content-type'] ?? '').toLowerCase().startsWith(PROTOBUF);
}

/** How many different reasons an answer lists. */
const MOST_REASONS = 5;

/** How many records were refused, and why; null if none. */
function rejectedOf(results: readonly ItemResult[]): { count: number; message: string } | null {
  const reasons = new Map<string, number>();
  let count = 0;
  for (const result of results) {
    if (result.status !== 'invalid') continue;
    count++;
    const reason = result.errors
      .map(({ field, reason }) => (field ? `${field}: ${reason}` : reason))
      .join(', ');
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  if (count === 0) return null;
  const listed = [...reasons].slice(0, MOST_REASONS).map(([reason, times]) => `${times} × ${reason}`);
  const more = reasons.size > MOST_REASONS ? ', and others' : '';
  return { count, message: `refused: ${listed.join('; ')}${more}` };
}
