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

/** Creates the API as a Koa app. The caller makes it listen. The app holds nothing that must be closed. */
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

/** The handlers of paths without parameters, by path and method. */
type Plain = Map<string, Map<string, Middleware>>;

/**
 * Routes requests whose path has no parameters, before all others. `GET /dead-letters/discard` is then never
 * read as the dead letter with the id `discard`, and the busiest paths are found without a search.
 */
function plainPaths(plain: Plain): Middleware {
  return (ctx, next) => {
    const methods = plain.get(ctx.path);
    if (!methods) return next();
    const handle = methods.get(ctx.method === 'HEAD' ? 'GET' : ctx.method);
    return handle ? handle(ctx, next) : otherMethods(ctx, [...methods.keys()]);
  };
}

/** What all endpoints share. */
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
    // Set first, so that metrics and logs know the route even if the request fails.
    ctx.state.route = route.path;
    ctx.state.dialect = route.dialect;
    const principal = await access.admit(ctx.req, route);
    attemptedBy(principal);
    // If there is no room for events, the request is refused before its body is read, which costs least.
    way?.requireRoom();
    const search = new URLSearchParams(ctx.querystring);
    const { params = {} } = ctx as unknown as { params?: Record<string, string> };
    checkStorable(params);
    checkHeaders(ctx.headers);
    const body = new Body(ctx.req, budget, () => way?.requireRoom(), principal.id ?? principal.name);
    try {
      const input = {
        params: route.params ? check(route.params, params, 'path') : {},
        // Clients of other protocols may send parameters that we do not know; those are ignored.
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
 * Makes the check of the headers that a route declares. If all of them are optional, it skips requests that
 * have none.
 * @throws Invalid
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

/** What a handler returns, of any route. */
interface Sent {
  status: number;
  headers?: Record<string, string>;
  type?: string;
  body?: unknown;
}

/** Answers requests that no route took: the path or the method is unknown. */
const nothingHere: Middleware = (ctx) => {
  const { matched = [] } = ctx as unknown as { matched?: { methods: string[] }[] };
  const allowed = [...new Set(matched.flatMap(({ methods }) => methods))];
  if (allowed.length === 0) throw new NotFound('Resource');
  otherMethods(ctx, allowed);
};

/** Answers OPTIONS with the methods that a path takes. @throws Problem 405 for other methods */
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
 * The headers that answer a webhook sender's handshake: CloudEvents senders ask with OPTIONS before they
 * deliver, and Azure Event Grid requires the answer. No key is needed for it, because it stores nothing.
 */
function webhookConsent({ path, headers }: Context): Record<string, string> {
  if (path !== '/events' || headers['webhook-request-origin'] === undefined) return {};
  return { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': '*' };
}
