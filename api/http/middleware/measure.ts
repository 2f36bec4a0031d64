import type { Middleware } from 'koa';
import type { ObserveRequest } from '../../../process/metrics/requests.ts';

/** The methods that metrics count by name. Clients can invent others, which share one label. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']);

/** Counts every answer, by the route in `ctx.state.route`. */
export function measure(observe: ObserveRequest): Middleware {
  return async (ctx, next) => {
    const started = performance.now();
    await next();
    observe({
      method: METHODS.has(ctx.method) ? ctx.method : 'other',
      route: (ctx.state.route as string | undefined) ?? 'none',
      status: ctx.status,
      milliseconds: performance.now() - started,
    });
  };
}
