import type { Middleware } from 'koa';
import type { Addresses } from '../address.ts';
import { Problem } from '../problem.ts';

/** What proxies add to what they pass on (RFC 7239, RFC 9110 7.6.3, and the names that came before). */
const MARKS = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-server',
  'x-forwarded-port',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-envoy-external-address',
  'cf-connecting-ip',
  'true-client-ip',
  'via',
];

/**
 * Refuses what came through a proxy, where no keys are asked for. A proxy on this machine makes strangers
 * look like its owner: they come from loopback, and by a name that the proxy chooses. HTTP/1.0 is what nginx
 * speaks to those behind it, unless told otherwise; by default it adds no header by which it could be known.
 */
export function onlyStraight(addresses: Addresses): Middleware {
  return ({ req }, next) => {
    const forwarded = req.httpVersionMinor === 0 || MARKS.some((name) => req.headers[name] !== undefined);
    if (forwarded && !addresses.isProxy(req)) {
      throw new Problem(
        403,
        'this API asks for no keys and answers only its own machine, but the request came through a proxy: ' +
          'set AUTH=keys, or list the proxy in TRUSTED_PROXIES if it authenticates people',
      );
    }
    return next();
  };
}
