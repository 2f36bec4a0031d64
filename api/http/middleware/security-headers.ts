import type { Middleware } from 'koa';

/**
 * What every answer carries, errors too (OWASP REST Security Cheat Sheet and HTTP Headers Cheat Sheet).
 * Answers are data for programs: no browser may guess another type for them, keep them, frame them, load
 * parts of them into another site's page, or run anything.
 */
const HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Cache-Control', 'no-store'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
];

/** Browsers that came by https once come by nothing else for a year. */
const HSTS = ['Strict-Transport-Security', 'max-age=31536000'] as const;

/**
 * Sets them before anything else happens, so that no route can forget one; a route may set a header
 * otherwise.
 */
export function securityHeaders({ publicUrl }: { publicUrl: string }): Middleware {
  const secure = new URL(publicUrl).protocol === 'https:';
  const headers = secure ? [...HEADERS, HSTS] : HEADERS;
  return ({ res }, next) => {
    for (const [name, value] of headers) res.setHeader(name, value);
    return next();
  };
}
