import { z } from 'zod';
import { type InvalidEvent, type ValidationLimits, validateEvent } from '../../../ingest/append/validate.ts';
import type { Converted } from '../../../ingest/formats/converted.ts';
import { parseExact } from '../../../ingest/formats/exact-json.ts';
import type { Body } from '../../http/body/body.ts';
import { jsonTextsOf } from '../../http/body/json-texts.ts';
import { BODY_LIMIT, LINE_LIMIT, TRIED_LIMIT } from '../../http/limits.ts';
import { idempotencyKey } from '../../http/parameters.ts';
import { NotFound } from '../../http/problem.ts';
import { type BodySpec, type Route, route } from '../../http/route.ts';
import { batchOut, eventOut, showEvent } from '../../resources/events/schema.ts';
import { mappingParams } from '../../resources/mappings/schema.ts';
import { idempotencyOf, showStream } from '../batch.ts';
import { JSON_TEXTS, LINES, NDJSON, storeStream } from '../streamed-body.ts';
import type { Format, FormatDeps } from './format.ts';

/**
 * The body is read while it is stored. Shippers label JSON with all kinds of media types, so the type only
 * decides whether a line ends an item.
 */
const records: BodySpec<Body> = {
  content: {
    'application/json': z.union([z.looseObject({}), z.array(z.looseObject({}))]),
    ...Object.fromEntries(NDJSON.map((type) => [type, z.string()])),
    'text/plain': z.string(),
  },
  optional: true,
  read: async (body) => body,
};

const triedOut = z
  .object({
    results: z.array(
      z.union([
        z.object({ index: z.int(), event: eventOut }),
        z.object({ index: z.int(), errors: z.array(z.object({ field: z.string(), reason: z.string() })) }),
      ]),
    ),
  })
  .meta({ id: 'DryRun' });

/** JSON of any shape, converted by a mapping: from Fluent Bit, Vector, syslog-ng and other log shippers. */
export const mappedJson: Format = { name: 'log shippers', routes: mappedJsonRoutes };

function mappedJsonRoutes({ intake, mappings, clock, settings }: FormatDeps): Route[] {
  return [
    route({
      method: 'post',
      path: '/ingest/json/{mapping}',
      role: 'ingest',
      tags: ['events'],
      summary: 'Store the records of a log shipper',
      description:
        'The body is JSON objects: one, an array, one per line, or one after another, of any length. It may be compressed with gzip, zstd or deflate. The mapping says which of ' +
        'a record’s fields become the fields of the event: `fluent-bit`, `vector`, `syslog-ng`, or a mapping of your own from `/mappings`. Records are stored while they are received; the API answers after everything is ' +
        'committed. With `dry_run=true` nothing is stored: the answer shows the events that the first 100 records would become.',
      params: mappingParams,
      query: z.object({ dry_run: z.enum(['true', 'false']).default('false') }),
      headers: idempotencyKey,
      body: records,
      responses: {
        200: {
          description: 'Results of the records, or the events that they would become',
          schema: z.union([batchOut, triedOut]),
        },
      },
      problems: [404],
      async handle({ params: { mapping }, query, body, principal, request }) {
        const map = await mappings.find(mapping);
        if (!map) throw new NotFound('Mapping');
        if (query.dry_run === 'true') {
          const limits = { now: clock(), retentionMs: settings.retentionMs };
          return { status: 200, body: { results: await tryOut(body, map, limits) } };
        }
        const key = request.headers['idempotency-key'] as string | undefined;
        const cutting = NDJSON.includes(body.type) ? LINES : JSON_TEXTS;
        const summary = await storeStream(body, cutting, (items, places) =>
          intake.store(principal, items.map(map), idempotencyOf(principal, key, places)),
        );
        return { status: 200, body: showStream(summary) };
      },
    }),
  ];
}

/** Converts the first records of a body, for a dry run. */
async function tryOut(body: Body, map: (record: unknown) => Converted, limits: ValidationLimits) {
  const results: z.input<typeof triedOut>['results'] = [];
  for await (const { first, lines } of jsonTextsOf(body.chunks(BODY_LIMIT), LINE_LIMIT)) {
    for (const [i, text] of lines.entries()) {
      if (results.length === TRIED_LIMIT) return results;
      const validated = text instanceof Error ? flaw(text.message) : tryText(text, map, limits);
      const index = first + i;
      if ('invalid' in validated) results.push({ index, errors: validated.invalid });
      else results.push({ index, event: showEvent(validated.event) });
    }
  }
  return results;
}

function tryText(text: string, map: (record: unknown) => Converted, limits: ValidationLimits) {
  let record: unknown;
  try {
    record = parseExact(text);
  } catch {
    return flaw('is not JSON');
  }
  const converted = map(record);
  return 'invalid' in converted ? converted : validateEvent(converted.event, limits, converted.lenient);
}

const flaw = (what: string): { invalid: InvalidEvent[] } => ({
  invalid: [{ field: '', reason: `the item ${what}` }],
});
