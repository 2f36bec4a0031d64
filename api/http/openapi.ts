import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import { createDocument, type ZodOpenApiPathsObject, type ZodOpenApiResponsesObject } from 'zod-openapi';
import type { ResponseSpec, Route } from './route.ts';

const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    errors: z
      .array(z.object({ field: z.string(), reason: z.string() }))
      .optional()
      .meta({ description: 'What is wrong with each field' }),
  })
  .meta({ id: 'Problem', description: 'An error, as RFC 9457 defines it. `detail` says what went wrong.' });

const PROBLEM: Readonly<Record<string, z.ZodType>> = { 'application/problem+json': problem };

/**
 * Generates the OpenAPI 3.1 document from the routes and the schemas that validate their requests.
 * @param auth whether the API requires keys
 * @param sessionCookie name of the session cookie
 */
export function openApiDocument(routes: readonly Route[], auth: 'open' | 'keys', sessionCookie: string) {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) {
    const item = paths[route.path] ?? {};
    paths[route.path] = item;
    item[route.method] = {
      tags: route.tags,
      summary: route.summary,
      ...(route.description ? { description: route.description } : {}),
      operationId: operationId(route),
      requestParams: {
        ...(route.params ? { path: route.params } : {}),
        ...(route.query ? { query: route.query } : {}),
        ...(route.headers ? { header: route.headers } : {}),
      },
      ...(route.body
        ? {
            requestBody: {
              required: !route.body.optional,
              content: mapValues(route.body.content, (schema) => ({ schema })),
            },
          }
        : {}),
      security: securityOf(route, auth),
      responses: { ...successes(route), ...failures(route) },
    };
  }
  const document = createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Tocsin',
      version: '0.2.0',
      description: 'Event monitoring and alerting. Errors are `application/problem+json` (RFC 9457).',
      license: { name: 'Apache 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The server that served this document' }],
    tags: [...new Set(routes.map(({ tags }) => tags[0]))].map((name) => ({
      name,
      description: TAGS[name] ?? name,
    })),
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'A key that `POST /keys` created' },
        session: {
          ...{ type: 'apiKey', in: 'cookie', name: sessionCookie },
          description: 'The session cookie that `POST /session` sets',
        },
        ingestToken: {
          ...{ type: 'apiKey', in: 'header', name: 'x-ingest-token' },
          description: 'The token of the setting INGEST_TOKEN',
        },
      },
    },
  });
  return portable(document);
}

/** Descriptions of the tags, which group the operations. */
const TAGS: Readonly<Record<string, string>> = {
  alerts: 'Alert rules',
  analytics: 'Counts of events over time',
  audit: 'Who changed what',
  backpressure: 'Limit of the ingest queue',
  'dead letters': 'Events that could not be stored',
  events: 'Store, list, stream and export events',
  health: 'Health and status',
  incidents: 'Incidents, and what people do with them',
  keys: 'Keys, roles, sessions and the audit log',
  mappings: 'How the records of log shippers become events',
  producers: 'Producers: workflows that emit events',
  'received alerts': 'Alerts that other systems send, in the protocols of Alertmanager and PagerDuty',
  rejections: 'Refused events and requests',
  samples: 'Sample producers and rules for trying Tocsin out',
};

/**
 * Removes what client generators cannot handle. Patterns with Unicode classes (`\p{…}`) are invalid regular
 * expressions in Python. With an empty object as default, the code that orval generates does not compile.
 */
function portable<T>(document: T): T {
  return JSON.parse(JSON.stringify(document), function (key, value: unknown) {
    const isOfSchema = this !== null && typeof this === 'object' && !Array.isArray(this);
    if (isOfSchema && key === 'pattern' && typeof value === 'string' && /\\p\{/.test(value)) return undefined;
    if (
      isOfSchema &&
      key === 'default' &&
      value !== null &&
      typeof value === 'object' &&
      !Array.isArray(value)
    ) {
      return Object.keys(value).length === 0 ? undefined : value;
    }
    return value;
  }) as T;
}

/**
 * Lists the alternative ways to authenticate for a route. `{}` means that none is needed. Each list names the
 * role that the key needs.
 */
function securityOf({ role, token }: Route, auth: 'open' | 'keys'): Record<string, string[]>[] {
  if (role === null) return [];
  if (auth === 'open') return token ? [{ ingestToken: [] }] : [{}];
  return [{ key: [role] }, { session: [role] }, ...(token ? [{ ingestToken: [] }] : [])];
}

function successes({ responses }: Route): ZodOpenApiResponsesObject {
  return Object.fromEntries(
    Object.entries(responses).map(([status, { description, schema, media, headers }]) => [
      status,
      {
        description,
        ...(headers
          ? { headers: mapValues(headers, (header) => ({ ...header, schema: { type: 'string' } })) }
          : {}),
        ...contentOf({ schema, media }),
      },
    ]),
  ) as ZodOpenApiResponsesObject;
}

function contentOf({ schema, media }: Pick<ResponseSpec, 'schema' | 'media'>) {
  if (!media) return schema ? { content: { 'application/json': { schema } } } : {};
  const bySchema = (type: string) => ({ schema: schema && /json$/.test(type) ? schema : z.string() });
  return { content: Object.fromEntries(media.map((type) => [type, bySchema(type)])) };
}

/** The error statuses of a route: those it declares, and those that follow from its input. */
export function problemsOf(route: Route): number[] {
  const statuses = new Set(route.problems ?? []);
  if (route.role) for (const status of [401, 403, 429, 503]) statuses.add(status);
  if (route.body) for (const status of [400, 408, 413, 415, 503]) statuses.add(status);
  if (route.body || route.params || route.query) statuses.add(route.dialect?.invalid ?? 422);
  return [...statuses].filter((status) => !(status in route.responses)).sort();
}

function failures(route: Route): ZodOpenApiResponsesObject {
  return Object.fromEntries(
    problemsOf(route).map((status) => [
      String(status),
      {
        description: STATUS_CODES[status],
        content: mapValues(route.dialect?.content ?? PROBLEM, (schema) => ({ schema })),
      },
    ]),
  ) as ZodOpenApiResponsesObject;
}

/** Makes `getEventsId` of `GET /events/{id}`. Generated clients name their functions by it. */
function operationId({ method, path }: Route): string {
  const words = path.replaceAll(/[{}]/g, '').split(/[/_-]/).filter(Boolean);
  return method + words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
}

function mapValues<A, B>(record: Record<string, A>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
