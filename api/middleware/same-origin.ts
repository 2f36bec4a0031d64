import type { Middleware } from 'koa';
import { Problem } from '../problem.ts';

/**
 * Refuses changes that a browser sends on behalf of another site: an API on loopback is in reach of every page its
 * user opens. Clients that are not browsers send no Origin and pass.
 */
export function sameOrigin(publicUrl: string): Middleware {
  const own = new URL(publicUrl).origin;
  return async (ctx, next) => {
    const origin = ctx.get('Origin');
    if (origin && !['GET', 'HEAD', 'OPTIONS'].includes(ctx.method) && origin !== own) {
      if (origin !== `http://${ctx.host}` && origin !== `https://${ctx.host}`) {
        throw new Problem(403, 'requests from other sites are refused');
      }
    }
    await next();
  };
}
