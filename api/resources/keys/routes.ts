import { z } from 'zod';
import { findKey, insertKey, listKeys, prefixOf, revokeKey } from '../../../db/queries/keys/keys.ts';
import { hashOf, makeSecret } from '../../../domain/keys/key.ts';
import type { ApiDeps } from '../../deps.ts';
import { jsonBody } from '../../http/body/json.ts';
import { cursorParameter, linkHeader, page } from '../../http/paging.ts';
import { idParams, queryInteger, withDefault } from '../../http/parameters.ts';
import { Conflict, NotFound } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';
import { keyIn, keyOut, newKeyOut, showKey } from './schema.ts';

/** Routes of keys. A secret is shown only once, when its key is created. */
export function keyRoutes({ orm, keyring, clock }: ApiDeps): Route[] {
  return [
    route({
      method: 'post',
      path: '/keys',
      role: 'admin',
      tags: ['keys'],
      summary: 'Create a key',
      description:
        'The secret is 32 letters and digits. Only its hash is stored, so it cannot be shown again. 409 if a key in force has the same name.',
      body: jsonBody(keyIn(clock)),
      responses: {
        201: { description: 'Created. Only this answer contains the secret.', schema: newKeyOut },
      },
      problems: [409],
      async handle({ body, principal }) {
        const secret = makeSecret('key');
        const given = {
          name: body.name,
          hash: hashOf(secret),
          prefix: prefixOf(secret),
          roles: body.roles,
          rateLimit: body.rate_limit ?? null,
          sources: body.sources ?? null,
          createdBy: principal.name,
          expiresAt: body.expires_at ?? null,
        };
        const key = await insertKey(orm, given, clock());
        if (!key) throw new Conflict(`another key in force already has the name "${body.name}"`);
        const headers = { Location: `/keys/${key.id}` };
        return { status: 201, body: { ...showKey(key, clock()), key: secret }, headers };
      },
    }),
    route({
      method: 'get',
      path: '/keys',
      role: 'admin',
      tags: ['keys'],
      summary: 'List keys',
      query: z.object({ limit: withDefault(queryInteger(1, 200), 50), cursor: cursorParameter }),
      responses: {
        200: {
          description: 'Newest first, including keys that are revoked or expired',
          schema: z.array(keyOut),
          headers: linkHeader,
        },
      },
      async handle({ query: { limit, cursor }, ...input }) {
        const found = await listKeys(orm, { after: cursor, limit: limit + 1 });
        const cursorOf = ({ createdAt, id }: (typeof found)[number]) => ({ at: createdAt.getTime(), id });
        const { rows, headers } = page(found, limit, cursorOf, input);
        return { status: 200, headers, body: rows.map((key) => showKey(key, clock())) };
      },
    }),
    route({
      method: 'get',
      path: '/keys/{id}',
      role: 'admin',
      tags: ['keys'],
      summary: 'One key',
      params: idParams,
      responses: { 200: { description: 'The key, without its secret', schema: keyOut } },
      problems: [404],
      async handle({ params: { id } }) {
        const key = await findKey(orm, id);
        if (!key) throw new NotFound('Key');
        return { status: 200, body: showKey(key, clock()) };
      },
    }),
    route({
      method: 'delete',
      path: '/keys/{id}',
      role: 'admin',
      tags: ['keys'],
      summary: 'Revoke a key',
      description:
        'The key and its sessions stop working at once in the process that answers, and within 5 seconds in all others. The key stays in the list.',
      params: idParams,
      responses: { 204: { description: 'The key is revoked; also if it was revoked before' } },
      problems: [404],
      async handle({ params: { id } }) {
        if (!(await revokeKey(orm, id, clock()))) throw new NotFound('Key');
        keyring.forget((credential) => credential.id === id);
        return { status: 204 };
      },
    }),
  ];
}
