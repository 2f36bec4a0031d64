import type { IncomingMessage } from 'node:http';

/** A browser's session as a cookie. */
export interface SessionCookie {
  name: string;
  /** The session's token that a browser sent along; undefined for none. */
  read(request: IncomingMessage): string | undefined;
  /** `Set-Cookie` for a session, or for none any more. */
  write(session: { token: string; seconds: number } | null): string;
}

/**
 * No page's script can read it, and no other site's page can make a browser send it. Where people reach us by
 * https it is never sent in the clear, and its prefix `__Host-` (RFC 6265bis) keeps other hosts of the same
 * domain from setting one that we would take for ours.
 */
export function sessionCookie(publicUrl: string): SessionCookie {
  const secure = new URL(publicUrl).protocol === 'https:';
  const name = secure ? '__Host-tocsin_session' : 'tocsin_session';
  const pattern = new RegExp(`(?:^|;) *${name}=([^; ]*)`);
  const attributes = ['HttpOnly', 'SameSite=Strict', ...(secure ? ['Secure'] : [])];
  return {
    name,
    read: ({ headers }) => pattern.exec(headers.cookie ?? '')?.[1] || undefined,
    write: (session) => {
      const { token, seconds } = session ?? { token: '', seconds: 0 };
      return [`${name}=${token}`, 'Path=/', `Max-Age=${seconds}`, ...attributes].join('; ');
    },
  };
}
