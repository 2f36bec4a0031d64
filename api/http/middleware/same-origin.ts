import { isIP } from 'node:net';
import type { Middleware } from 'koa';
import { Problem } from '../problem.ts';

const SAFE = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Refuses requests that a browser sends on behalf of another site. Any page that a user opens can reach an
 * API on loopback. So changes must come from our own pages. If only this machine reaches the API (`local`),
 * requests must also name one of our hosts: with DNS rebinding, another site's name resolves to this machine,
 * and the browser takes that site's page for ours. Clients other than browsers send no Origin, and use
 * loopback's names.
 */
export function sameOrigin({ publicUrl, local }: { publicUrl: string; local: boolean }): Middleware {
  const own = new URL(publicUrl);
  const names = new Set(['localhost', own.hostname]);
  const isOurs = remembered((asked) => {
    if (!URL.canParse(`http://${asked}`)) return false;
    const { hostname } = new URL(`http://${asked}`);
    // An IP address is safe: DNS cannot make it mean another machine.
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

/**
 * Caches the results for host names. Most requests use the same few, and parsing one costs as much as
 * validating an event.
 */
function remembered(judge: (name: string) => boolean): (name: string) => boolean {
  const known = new Map<string, boolean>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    // Senders can invent any number of names.
    if (known.size >= 100) known.clear();
    const verdict = judge(name);
    if (name.length <= 300) known.set(name, verdict);
    return verdict;
  };
}
