import { isIP } from 'node:net';
import type { Middleware } from 'koa';
import { Problem } from '../problem.ts';

const SAFE = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Refuses what a browser sends on behalf of another site: an API on loopback is in reach of every page its
 * user opens. Changes must come from our own pages, and while only this machine reaches us (`local`),
 * everything must be asked of a name that is ours: another site's name may have been made to resolve to this
 * machine (DNS rebinding), and its page then counts as our own. Clients that are not browsers send no Origin,
 * and ask for loopback by its name.
 */
export function sameOrigin({ publicUrl, local }: { publicUrl: string; local: boolean }): Middleware {
  const own = new URL(publicUrl);
  const names = new Set(['localhost', own.hostname]);
  const isOurs = remembered((asked) => {
    if (!URL.canParse(`http://${asked}`)) return false;
    const { hostname } = new URL(`http://${asked}`);
    // Nobody can make an address mean another machine.
    return names.has(hostname) || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0;
  });
  return async (ctx, next) => {
    if (local && ctx.host && !isOurs(ctx.host)) {
      throw new Problem(
        403,
        `${ctx.host} is not a host name of this API: set PUBLIC_URL to the address that people use`,
      );
    }
    const origin = ctx.get('Origin');
    if (origin && !SAFE.includes(ctx.method) && origin !== own.origin) {
      const same = origin === `http://${ctx.host}` || origin === `https://${ctx.host}`;
      if (!same) throw new Problem(403, 'requests from other sites are refused');
      if (!isOurs(ctx.host)) {
        throw new Problem(
          403,
          'requests from other sites are refused: set PUBLIC_URL to the address that people use',
        );
      }
    }
    await next();
  };
}

/** Most requests ask for the same few names. Taking one apart costs as much as validating an event. */
function remembered(judge: (name: string) => boolean): (name: string) => boolean {
  const known = new Map<string, boolean>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    // Senders can make up names, and long ones.
    if (known.size >= 100) known.clear();
    const verdict = judge(name);
    if (name.length <= 300) known.set(name, verdict);
    return verdict;
  };
}
