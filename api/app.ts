import Router from '@koa/router';
import Koa, { type Context, type Middleware } from 'koa';
import type { ApiDeps } from './deps.ts';
import { docs } from './docs.ts';
import { readJson } from './middleware/body.ts';
import { problems } from './middleware/problems.ts';
import { sameOrigin } from './middleware/same-origin.ts';
import { openApiDocument } from './openapi.ts';
import { Invalid, NotFound, Problem } from './problem.ts';
import { check, isOptional, parseQuery, type Route } from './route.ts';
import { allRoutes } from './routes/index.ts';
import { checkStorable } from './storable.ts';

/** The API as a Koa app; the caller listens. Holds nothing that has to be closed. */
export function createApp(deps: ApiDeps): Koa {
  const routes = allRoutes(deps);
  const app = new Koa();
  app.on('error', (error) => deps.log.error({ err: error }, 'connection failed'));
  app.use(problems(deps.log));
  app.use(sameOrigin(deps.settings));
  app.use(docs(JSON.stringify(openApiDocument(routes))));
  const router = new Router();
  for (const route of routes) {
    router.register(route.path.replaceAll(/\{(\w+)\}/g, ':$1'), [route.method], endpoint(route));
  }
  app.use(router.routes());
  app.use(nothingHere);
  return app;
}

function endpoint(route: Route): Middleware {
  const optionalBody = route.body !== undefined && isOptional(route.body);
  return async (ctx) => {
    route.authorize?.(ctx.req);
    const search = new URLSearchParams(ctx.querystring);
    const { params = {} } = ctx as unknown as { params?: Record<string, string> };
    checkStorable(params);
    const input = {
      params: route.params ? check(route.params, params, 'path') : {},
      query: route.query ? parseQuery(route.query, search) : {},
      body: route.body ? await readBody(ctx, route.body, optionalBody) : undefined,
      path: ctx.path,
      search,
    };
    const { status, headers, body } = await route.handle(input);
    ctx.status = status;
    if (headers) ctx.set(headers);
    if (body === undefined) {
      ctx.body = null;
      ctx.status = status;
    } else {
      ctx.type = 'application/json';
      ctx.body = JSON.stringify(body);
    }
  };
}

async function readBody(ctx: Context, body: NonNullable<Route['body']>, optional: boolean): Promise<unknown> {
  const raw = await readJson(ctx.req, body.limit);
  if (raw === undefined && !optional) throw new Invalid([{ field: 'body', reason: 'is required' }]);
  return body.parse(raw);
}

/** No route took the request: wrong path, or wrong method for it. */
const nothingHere: Middleware = async (ctx) => {
  const { matched = [] } = ctx as unknown as { matched?: { methods: string[] }[] };
  const allowed = [...new Set(matched.flatMap(({ methods }) => methods))];
  if (allowed.length === 0) throw new NotFound('Resource');
  const Allow = allowed.join(', ');
  if (ctx.method === 'OPTIONS') {
    ctx.set({ Allow });
    ctx.status = 204;
    return;
  }
  throw new Problem(405, `${ctx.method} is not allowed here`, { headers: { Allow } });
};
