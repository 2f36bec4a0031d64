import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Context } from 'koa';
import { z } from 'zod';
import { parsePath, writePath } from '../../domain/events/path.ts';
import type { Role } from '../../domain/keys/role.ts';
import type { Principal } from '../auth/access.ts';
import type { Body } from './body/body.ts';
import { checkStorable } from './body/storable.ts';
import { unknownNames } from './body/unknown-names.ts';
import { Invalid, type Problem } from './problem.ts';

export interface ResponseSpec {
  description: string;
  /** The schema of a JSON body. If `media` is absent too, the answer has no body. */
  schema?: z.ZodType;
  /** Media types of a body that is sent exactly as the handler made it. `schema` describes the JSON ones. */
  media?: readonly string[];
  headers?: Record<string, { description: string }>;
}

/** What the body of a request must be. */
export interface BodySpec<B> {
  /** Media types with their schemas, for OpenAPI. The first is the usual one. */
  content: Readonly<Record<string, z.ZodType>>;
  /** True if a request may come without a body. */
  optional: boolean;
  /** Reads and validates the body. @throws Problem */
  read: (body: Body, request: IncomingMessage) => Promise<B>;
}

/** How errors look in a protocol that does not use RFC 9457. */
export interface Dialect {
  /** Media types of the errors with their schemas, for OpenAPI. */
  content: Readonly<Record<string, z.ZodType>>;
  /** The status with which Alertmanager and PagerDuty answer where Tocsin's own routes answer 422. */
  invalid: 400;
  /** Writes a problem in the protocol's form. `status` is the status of the answer. */
  say: (
    problem: Problem,
    status: number,
    request: IncomingMessage,
  ) => { type: string; body: string | Uint8Array };
}

export type Shape = z.ZodObject;

/** What a handler gets. The route's schemas have validated and typed it. */
export interface Input<P extends Shape, Q extends Shape, B> {
  params: z.output<P>;
  query: z.output<Q>;
  body: B;
  /** The request, for its headers and to notice that the connection closes. */
  request: IncomingMessage;
  /** Chooses what the client prefers, by `Accept` and similar headers. */
  accept: Context['accept'];
  principal: Principal;
  /** Path and query as the client sent them, for links to the next page. */
  path: string;
  search: URLSearchParams;
}

/** What a handler returns: one of the declared responses, with a body of its schema. */
export type Reply<R extends Record<number, ResponseSpec>> = {
  [S in keyof R & number]: {
    status: S;
    headers?: Record<string, string>;
  } & (R[S] extends { media: readonly string[] }
    ? { type: R[S]['media'][number]; body: Readable | Uint8Array | string }
    : R[S] extends { schema: infer Z extends z.ZodType }
      ? { body: z.input<Z> }
      : { body?: undefined });
}[keyof R & number];

/**
 * One endpoint: its input, its answers, and its handler. From this object the API routes, validates, and
 * generates OpenAPI.
 */
export interface RouteSpec<P extends Shape, Q extends Shape, B, R extends Record<number, ResponseSpec>> {
  method: 'get' | 'post' | 'put' | 'delete';
  /** The path in OpenAPI's form: `/events/{id}`. */
  path: string;
  /** The role that a key needs; null if the route needs no key. */
  role: Role | null;
  tags: [string];
  summary: string;
  description?: string;
  params?: P;
  query?: Q;
  body?: BodySpec<B>;
  /**
   * What the route stores. By default that is events for routes with the role `ingest`. Such a route records
   * what it refuses. Alerts neither wait for room in the buffer of events nor count against the rate of
   * events.
   */
  ingests?: 'events' | 'alerts';
  /** Headers that the route reads, for OpenAPI. */
  headers?: Shape;
  /** The route also accepts the header `x-ingest-token`, which the reference's clients send. */
  token?: true;
  responses: R;
  /** Error statuses beyond those that follow from the schemas. */
  problems?: readonly number[];
  /** How errors look; absent for `application/problem+json`. */
  dialect?: Dialect;
  /** True if the route reads so many events that the audit log must record it. */
  recorded?: boolean;
  /** Converts a body that may contain secrets into what the audit log may store. */
  recordedAs?: (body: B) => unknown;
  handle: (input: Input<P, Q, B>) => Promise<Reply<NoInfer<R>>>;
}

export type Route = RouteSpec<Shape, Shape, unknown, Record<number, ResponseSpec>>;

const NOTHING = z.object({});
// biome-ignore lint/suspicious/noExplicitAny: any shape will do, but keys must not be inferred as all strings
type None = z.ZodObject<any, any> & typeof NOTHING;

/** Declares a route. The types of the handler's input and answer follow from the schemas. */
export function route<
  R extends Record<number, ResponseSpec>,
  P extends Shape = None,
  Q extends Shape = None,
  B = undefined,
>(spec: RouteSpec<P, Q, B, R>): Route {
  return spec as unknown as Route;
}

/** Validates a value. @throws Invalid with one error for each invalid field */
export function check<S extends z.ZodType>(schema: S, value: unknown, root: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Invalid(
    parsed.error.issues.map((issue) => ({
      field: issue.path.length > 0 ? issue.path.join('.') : root,
      reason: issue.message,
    })),
  );
}

/**
 * List parameters whose items `name=key=value` may also be written as `name.key=value` or
 * `name["key"]=value`.
 */
const keyed = new WeakSet<z.ZodType>();

/** Marks a list parameter as one whose keys may be part of its name (see `keyed`). */
export function keyedBelow<S extends z.ZodType>(schema: S): S {
  keyed.add(schema);
  return schema;
}

/**
 * Parses a query by its schema. If a parameter is repeated, the last one counts, unless the schema has a
 * list.
 * @throws Invalid, also for unknown names: a misspelt filter would otherwise match everything
 */
export function parseQuery<Q extends Shape>(schema: Q, search: URLSearchParams, lax = false): z.output<Q> {
  const given: Record<string, unknown> = {};
  const known = new Set<string>();
  for (const [name, field] of Object.entries(schema.shape)) {
    const values = search.getAll(name);
    known.add(name);
    if (keyed.has(field as z.ZodType)) {
      for (const [key, value] of search) {
        if (!key.startsWith(`${name}.`) && !key.startsWith(`${name}["`)) continue;
        known.add(key);
        values.push(`${writePath(parsePath(key.slice(name.length).replace(/^\./, '')).keys)}=${value}`);
      }
    }
    if (values.length > 0) given[name] = kindOf(field as z.ZodType) === 'array' ? values : values.at(-1);
  }
  const unknown = [...new Set(search.keys())].filter((name) => !known.has(name));
  if (unknown.length > 0 && !lax) throw new Invalid(unknownNames(unknown, [...known]));
  checkStorable(given);
  return check(schema, given, '');
}

/** The type of a schema without its optional, default and transform wrappers. */
function kindOf(schema: z.ZodType): string {
  const { type, innerType, in: from } = schema.def as { type: string; innerType?: z.ZodType; in?: z.ZodType };
  const inner = innerType ?? (type === 'pipe' ? from : undefined);
  return inner ? kindOf(inner) : type;
}
