import { z } from 'zod';
import { deleteSession, insertSession } from '../../../db/queries/keys/sessions.ts';
import { hashOf, isSecret, makeSecret } from '../../../domain/keys/key.ts';
import { ROLES } from '../../../domain/keys/role.ts';
import type { Principal } from '../../auth/access.ts';
import { auditor } from '../../auth/audit.ts';
import { sessionCookie } from '../../auth/cookie.ts';
import { bearerOf } from '../../auth/key-access.ts';
import type { ApiDeps } from '../../deps.ts';
import { jsonBody } from '../../http/body/json.ts';
import { SESSION_BODY_LIMIT } from '../../http/limits.ts';
import { time } from '../../http/parameters.ts';
import { Unauthorized } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';

/** The longest session, in milliseconds. */
const SESSION_MS = 12 * 3600_000;

const sessionOut = z
  .object({
    auth: z.enum(['open', 'keys']).meta({ description: '`open`: the API asks for no keys' }),
    name: z.string(),
    roles: z.array(z.enum(ROLES)),
    expires_at: time.nullable(),
  })
  .meta({ id: 'Session' });

const cookieHeader = { 'Set-Cookie': { description: 'The session cookie, if the API asks for keys' } };

/**
 * Routes of browser sessions. A browser cannot send headers with an `EventSource`, and should not store a key
 * where scripts can read it.
 */
export function sessionRoutes(deps: ApiDeps): Route[] {
  const { orm, access, keyring, clock, settings } = deps;
  const record = auditor(deps);
  const cookie = sessionCookie(settings.publicUrl);
  const show = ({ name, roles, expiresAt }: Principal): z.output<typeof sessionOut> => ({
    auth: access.mode,
    name,
    roles: [...roles],
    expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
  });
  return [
    route({
      method: 'post',
      path: '/session',
      role: null,
      tags: ['keys'],
      summary: 'Open a session for a browser',
      description:
        'Send the key in the body or as `Authorization: Bearer`. The session has the rights of the key. It ends after twelve hours, or ' +
        'earlier if the key ends.',
      body: jsonBody(z.object({ key: z.string().max(200).nullish() }).prefault({}), {
        limit: SESSION_BODY_LIMIT,
      }),
      responses: {
        200: { description: 'Name and roles of the session', schema: sessionOut, headers: cookieHeader },
      },
      problems: [401, 429, 503],
      async handle({ body, request, path }) {
        if (access.mode === 'open') return { status: 200, body: show(await access.identify(request)) };
        const secret = body.key ?? bearerOf(request.headers.authorization ?? '');
        const principal = await access.identifyKey(secret, request);
        if (principal.id === null) throw new Unauthorized('a session needs a key');
        const now = clock();
        const expiresAt = Math.min(now + SESSION_MS, principal.expiresAt ?? Number.POSITIVE_INFINITY);
        const token = makeSecret('session');
        const session = { hash: hashOf(token), keyId: principal.id, now, expiresAt };
        const act = { principal, request, path, query: {}, body: undefined };
        const seconds = Math.floor((expiresAt - now) / 1000);
        const headers = { 'Set-Cookie': cookie.write({ token, seconds }) };
        return record({ method: 'post', path: '/session', role: null }, act, async () => {
          await insertSession(orm, session);
          return { status: 200, body: show({ ...principal, expiresAt }), headers } as const;
        });
      },
    }),
    route({
      method: 'get',
      path: '/session',
      role: null,
      tags: ['keys'],
      summary: 'Name and roles of the caller',
      responses: {
        200: { description: 'Who sent this request, and what they may do', schema: sessionOut },
      },
      problems: [401, 429, 503],
      async handle({ request }) {
        return { status: 200, body: show(await access.identify(request)) };
      },
    }),
    route({
      method: 'delete',
      path: '/session',
      role: null,
      tags: ['keys'],
      summary: 'End the session of this browser',
      description: 'Also removes the cookie. Without a session the answer is the same.',
      responses: { 204: { description: 'The session has ended', headers: cookieHeader } },
      problems: [503],
      async handle({ request, path }) {
        const token = cookie.read(request);
        const hash = token !== undefined && isSecret('session', token) ? hashOf(token) : null;
        const headers = { 'Set-Cookie': cookie.write(null) };
        const credential = hash === null ? null : await keyring.find(hash);
        if (!credential) return { status: 204, headers };
        const { id, name, roles } = credential;
        const principal = { id, name, roles, rateLimit: null, sources: null, expiresAt: null };
        const act = { principal, request, path, query: {}, body: undefined };
        return record({ method: 'delete', path: '/session', role: null }, act, async () => {
          await deleteSession(orm, credential.hash);
          keyring.forget((known) => known.hash === credential.hash);
          return { status: 204, headers } as const;
        });
      },
    }),
  ];
}
