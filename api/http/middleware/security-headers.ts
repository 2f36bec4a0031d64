import type { Middleware } from 'koa';

/**
 * The headers of every answer, errors included (OWASP REST Security and HTTP Headers Cheat Sheets). Answers
 * are data for programs. So browsers must not guess another type, store them, frame them, embed them in
 * another site's page, or run anything in them.
 */
const HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Cache-Control', 'no-store'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
];

/** Browsers that used https once use nothing else for a year. */
const HSTS = ['Strict-Transport-Security', 'max-age=31536000'] as const;

/** Sets the headers before anything else runs, so that no route can forget them. A route may override one. */
export function securityHeaders({ publicUrl }: { publicUrl: string }): Middleware {
  const secure = new URL(publicUrl).protocol === 'https:';
  const headers = secure ? [...HEADERS, HSTS] : HEADERS;
  return ({ res }, next) => {
    for (const [name, value] of headers) res.setHeader(name, value);
    return next();
  };
}
