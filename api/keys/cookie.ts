import type { IncomingMessage } from 'node:http';

/** Its name. */
export const SESSION_COOKIE = 'tocsin_session';
const PATTERN = new RegExp(`(?:^|;) *${SESSION_COOKIE}=([^; ]*)`);

/** The session's token that a browser sent along; undefined for none. */
export function sessionOf(request: IncomingMessage): string | undefined {
  return PATTERN.exec(request.headers.cookie ?? '')?.[1] || undefined;
}

/**
 * `Set-Cookie` for a session, or for none any more. No page's script can read it, no other site's page can make a browser send it, and
 * where people reach us by https it is never sent in the clear.
 */
export function sessionCookie(session: { token: string; seconds: number } | null, secure: boolean): string {
  const { token, seconds } = session ?? { token: '', seconds: 0 };
  return [
    `${SESSION_COOKIE}=${token}`,
    'Path=/',
    `Max-Age=${seconds}`,
    'HttpOnly',
    'SameSite=Strict',
    ...(secure ? ['Secure'] : []),
  ].join('; ');
}
