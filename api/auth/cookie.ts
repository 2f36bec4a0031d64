import type { IncomingMessage } from 'node:http';

/** Reads and writes the cookie of a browser session. */
export interface SessionCookie {
  name: string;
  /** The session token in the request's cookie; undefined if there is none. */
  read(request: IncomingMessage): string | undefined;
  /** The `Set-Cookie` header that sets a session, or that removes it (null). */
  write(session: { token: string; seconds: number } | null): string;
}

/**
 * Makes the session cookie. Scripts cannot read it, and browsers do not send it with requests from other
 * sites. If people reach the API by https, browsers never send it over http. Its prefix `__Host-` (RFC
 * 6265bis) then stops other hosts of the same domain from setting a cookie that we would accept.
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
