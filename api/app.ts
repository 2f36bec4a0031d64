import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import Router from '@koa/router';
import Koa, { type Context, type Middleware } from 'koa';
import { observeRequests } from '../process/metrics/requests.ts';
import { auditor, isRecorded } from './auth/audit.ts';
import { sessionCookie } from './auth/cookie.ts';
import { endWithAdmission } from './auth/readmission.ts';
import type { ApiDeps } from './deps.ts';
import { Body } from './http/body/body.ts';
import { type BodyBudgets, bodyBudgets } from './http/body/budget.ts';
import { checkStorable } from './http/body/storable.ts';
import { docs } from './http/docs.ts';
import { brokenConnections } from './http/middleware/broken-connections.ts';
import { measure } from './http/middleware/measure.ts';
import { problems } from './http/middleware/problems.ts';
import { sameOrigin } from './http/middleware/same-origin.ts';
import { securityHeaders } from './http/middleware/security-headers.ts';
import { onlyStraight } from './http/middleware/straight.ts';
import { unread } from './http/middleware/unread.ts';
import { openApiDocument } from './http/openapi.ts';
import { NotFound, Problem } from './http/problem.ts';
import { check, parseQuery, type Route } from './http/route.ts';
import { attemptedBy, noteRefusals } from './intake/rejections/attempt.ts';
import { allRoutes } from './resources/index.ts';

/** The API as a Koa app; the caller listens. Holds nothing that has to be closed. */
export function createApp(deps: ApiDeps): Koa {
  const routes = allRoutes(deps);
  const { addresses } = deps;
  const shared = { ...deps, budgets: bodyBudgets(addresses.of), record: auditor(deps) };
  const app = new Koa();
  app.on('error', brokenConnections(deps.log));
  app.use(securityHeaders(deps.settings));
  app.use(unread);
  app.use(measure(observeRequests(deps.registry)));
  app.use(problems(deps.log));
  if (deps.access.mode === 'open') app.use(onlyStraight(addresses));
  app.use(sameOrigin(deps.settings));
  const { name: cookie } = sessionCookie(deps.settings.publicUrl);
  app.use(docs(JSON.stringify(openApiDocument(routes, deps.access.mode, cookie))));
  const router = new Router();
  const plain: Plain = new Map();
  for (const route of routes) {
    const handle = endpoint(route, shared);
    router.register(route.path.replaceAll(/\{(\w+)\}/g, ':$1'), [route.method], handle);
    if (route.path.includes('{')) continue;
    const methods = plain.get(route.path) ?? plain.set(route.path, new Map()).get(route.path)!;
    methods.set(route.method.toUpperCase(), handle);
  }
  app.use(plainPaths(plain));
  app.use(router.routes());
  app.use(nothingHere);
  return app;
}

/** Endpoints by path and method, of the paths without parameters. */
type Plain = Map<string, Map<string, Middleware>>;

/**
 * A path without parameters is nobody else's: `GET /dead-letters/discard` asks for no dead letter of that
 * name. Nor are the busiest paths searched for among all the others.
 */
function plainPaths(plain: Plain): Middleware {
  return (ctx, next) => {
    const methods = plain.get(ctx.path);
    if (!methods) return next();
    const handle = methods.get(ctx.method === 'HEAD' ? 'GET' : ctx.method);
    return handle ? handle(ctx, next) : otherMethods(ctx, [...methods.keys()]);
  };
}

/** What all endpoints have in common. */
interface Shared extends ApiDeps {
  budgets: BodyBudgets;
  record: ReturnType<typeof auditor>;
}

function endpoint(route: Route, { access, ingest, alerts, rejections, budgets, record }: Shared): Middleware {
  const takes = route.ingests ?? (route.role === 'ingest' ? 'events' : null);
  const way = takes && { events: ingest, alerts }[takes];
  const checkHeaders = headerCheck(route);
  const budget = budgets[route.role === null ? 'strangers' : (takes ?? 'control')];
  const answer: Middleware = async (ctx) => {
    // Known before anything can go wrong.
    ctx.state.route = route.path;
    ctx.state.dialect = route.dialect;
    const principal = await access.admit(ctx.req, route);
    attemptedBy(principal);
    // A body that would be refused for want of room costs least unread.
    way?.requireRoom();
    const search = new URLSearchParams(ctx.querystring);
    const { params = {} } = ctx as unknown as { params?: Record<string, string> };
    checkStorable(params);
    checkHeaders(ctx.headers);
    const body = new Body(ctx.req, budget, () => way?.requireRoom(), principal.id ?? principal.name);
    try {
      const input = {
        params: route.params ? check(route.params, params, 'path') : {},
        // Another protocol's clients may know parameters that we don't.
        query: route.query ? parseQuery(route.query, search, route.dialect !== undefined) : {},
        body: await route.body?.read(body, ctx.req),
        request: ctx.req,
        accept: ctx.accept,
        principal,
        path: ctx.path,
        search,
      };
      const handle = () => route.handle(input);
      const sent: Sent = await (isRecorded(route) ? record(route, input, handle) : handle());
      if (sent.body instanceof Readable) endWithAdmission(sent.body, () => access.admit(ctx.req, route));
      send(ctx, sent);
    } finally {
      body.release();
    }
  };
  if (!takes) return answer;
  const note = noteRefusals(route.path, rejections);
  return (ctx, next) => note(ctx, () => answer(ctx, next));
}

/**
 * Checks the headers that a route reads; where all are optional, only when one of them is there. @throws
 * Invalid
 */
function headerCheck({ headers }: Route): (given: IncomingHttpHeaders) => void {
  if (!headers) return () => {};
  const names = Object.keys(headers.shape);
  const optional = headers.safeParse({}).success;
  return (given) => {
    if (optional && names.every((name) => given[name] === undefined)) return;
    check(headers, given, 'headers');
  };
}

function send(ctx: Context, { status, headers, type, body }: Sent): void {
  ctx.status = status;
  if (headers) ctx.set(headers);
  if (body === undefined) {
    ctx.body = null;
    ctx.status = status;
  } else if (type === undefined) {
    ctx.type = 'application/json';
    ctx.body = JSON.stringify(body);
  } else {
    ctx.set('Content-Type', type);
    ctx.body = body;
  }
}

/** A handler's answer, whatever its route declares. */
interface Sent {
  status: number;
  headers?: Record<string, string>;
  type?: string;
  body?: unknown;
}

/** No route took the request: wrong path, or wrong method for it. */
const nothingHere: Middleware = (ctx) => {
  const { matched = [] } = ctx as unknown as { matched?: { methods: string[] }[] };
  const allowed = [...new Set(matched.flatMap(({ methods }) => methods))];
  if (allowed.length === 0) throw new NotFound('Resource');
  otherMethods(ctx, allowed);
};

/** Says which methods a path takes. @throws Problem 405 unless that was the question */
function otherMethods(ctx: Context, allowed: readonly string[]): void {
  const Allow = [...allowed, ...(allowed.includes('GET') && !allowed.includes('HEAD') ? ['HEAD'] : [])].join(
    ', ',
  );
  if (ctx.method !== 'OPTIONS')
    throw new Problem(405, `${ctx.method} is not allowed for this path`, { headers: { Allow } });
  ctx.set({ Allow, ...webhookConsent(ctx) });
  ctx.status = 204;
}

/**
 * CloudEvents' handshake for webhooks: a sender asks by OPTIONS before it delivers. Anyone may: it is the key
 * that lets events in. Azure Event Grid delivers nothing without it.
 */
function webhookConsent({ path, headers }: Context): Record<string, string> {
  if (path !== '/events' || headers['webhook-request-origin'] === undefined) return {};
  return { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': '*' };
}
