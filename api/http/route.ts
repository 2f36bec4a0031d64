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
  /** Of a JSON body. Absent, with no `media` either: no body. */
  schema?: z.ZodType;
  /** Media types of a body that is sent as the handler made it; `schema` describes those that are JSON. */
  media?: readonly string[];
  headers?: Record<string, { description: string }>;
}

/** What a body must be. */
export interface BodySpec<B> {
  /** Media types and what each holds, for OpenAPI. The first is the usual one. */
  content: Readonly<Record<string, z.ZodType>>;
  /** A request may come without. */
  optional: boolean;
  /** Reads and validates it. @throws Problem */
  read: (body: Body, request: IncomingMessage) => Promise<B>;
}

/** How a protocol that has its own form of failure says what went wrong, instead of RFC 9457. */
export interface Dialect {
  /** Media types of its failures and what each holds, for OpenAPI. */
  content: Readonly<Record<string, z.ZodType>>;
  /** What it says in place of 422. */
  invalid: 400;
  /** A failure in its words. `status` is the one that is answered. */
  say: (
    problem: Problem,
    status: number,
    request: IncomingMessage,
  ) => { type: string; body: string | Uint8Array };
}

export type Shape = z.ZodObject;

/** What a handler is given: all of it validated and typed by the route's schemas. */
export interface Input<P extends Shape, Q extends Shape, B> {
  params: z.output<P>;
  query: z.output<Q>;
  body: B;
  /** Headers, and the end of the connection. */
  request: IncomingMessage;
  /** Chooses what the client prefers, by `Accept` and its like. */
  accept: Context['accept'];
  principal: Principal;
  /** Path and query as they came, for links to the next page. */
  path: string;
  search: URLSearchParams;
}

/** What a handler answers: one of the declared responses, with a body of its schema. */
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
 * One endpoint: what it takes, what it answers and how. The same object routes, validates and feeds OpenAPI.
 */
export interface RouteSpec<P extends Shape, Q extends Shape, B, R extends Record<number, ResponseSpec>> {
  method: 'get' | 'post' | 'put' | 'delete';
  /** As OpenAPI writes it: `/events/{id}`. */
  path: string;
  /** What a key needs for it; null: nothing, and no key either. */
  role: Role | null;
  tags: [string];
  summary: string;
  description?: string;
  params?: P;
  query?: Q;
  body?: BodySpec<B>;
  /**
   * What it takes; events, of a route for keys of role `ingest`, unless it says so. What it refuses is put on
   * record. Alerts don't wait for events, nor are they refused because those are too many.
   */
  ingests?: 'events' | 'alerts';
  /** Headers that it reads, for OpenAPI. */
  headers?: Shape;
  /** Takes the header `x-ingest-token`, as the reference's clients send it. */
  token?: true;
  responses: R;
  /** Statuses of the problems it may answer beyond those that follow from its schemas. */
  problems?: readonly number[];
  /** Absent: failures are `application/problem+json`. */
  dialect?: Dialect;
  /** Reads so much that it goes on record who did. */
  recorded?: boolean;
  /** What the audit log keeps of a body that may contain secrets. */
  recordedAs?: (body: B) => unknown;
  handle: (input: Input<P, Q, B>) => Promise<Reply<NoInfer<R>>>;
}

export type Route = RouteSpec<Shape, Shape, unknown, Record<number, ResponseSpec>>;

const NOTHING = z.object({});
// biome-ignore lint/suspicious/noExplicitAny: any shape will do, but keys must not be inferred as all strings
type None = z.ZodObject<any, any> & typeof NOTHING;

/** Declares a route. Types of the handler's input and answer follow from its schemas. */
export function route<
  R extends Record<number, ResponseSpec>,
  P extends Shape = None,
  Q extends Shape = None,
  B = undefined,
>(spec: RouteSpec<P, Q, B, R>): Route {
  return spec as unknown as Route;
}

/** Validates, or says what is wrong, field by field. @throws Invalid */
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
 * Lists in a query that may also come as `name.key=value` or `name["key"]=value`, each for `name=key=value`.
 */
const keyed = new WeakSet<z.ZodType>();

/** Marks a list of `key=value` as one whose keys may be part of the parameter's name. */
export function keyedBelow<S extends z.ZodType>(schema: S): S {
  keyed.add(schema);
  return schema;
}

/**
 * Reads a query by its schema: of a repeated parameter the last counts, unless the schema has a list there.
 * @throws Invalid, also for a name that the schema doesn't have: a filter that is misspelt would let
 * everything through
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

/** The kind of a schema beneath optional, default and what is made of it. */
function kindOf(schema: z.ZodType): string {
  const { type, innerType, in: from } = schema.def as { type: string; innerType?: z.ZodType; in?: z.ZodType };
  const inner = innerType ?? (type === 'pipe' ? from : undefined);
  return inner ? kindOf(inner) : type;
}
