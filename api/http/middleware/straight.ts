import type { Middleware } from 'koa';
import type { Addresses } from '../address.ts';
import { Problem } from '../problem.ts';

/** Headers that proxies add (RFC 7239, RFC 9110 7.6.3, and their older names). */
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
 * Refuses requests through a proxy if the API requires no keys. A proxy on this machine would make strangers
 * look like the owner: they would come from loopback, with a host name of the proxy's choice. HTTP/1.0 is
 * refused too: by default nginx speaks it to its upstreams, and adds no header that identifies it.
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
