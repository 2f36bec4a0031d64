import { z } from 'zod';
import type { AuditEntry } from '../../../db/entities/audit.ts';
import { AUDIT_DAYS, listAudit } from '../../../db/queries/keys/audit.ts';
import type { ApiDeps } from '../../deps.ts';
import { cursorParameter, linkHeader, page } from '../../http/paging.ts';
import { queryInteger, range, time, uuid, withDefault } from '../../http/parameters.ts';
import { type Route, route } from '../../http/route.ts';

const auditOut = z
  .object({
    id: z.uuid(),
    at: time,
    principal_id: z
      .uuid()
      .nullable()
      .meta({ description: 'Id of the key; null if the API asks for no keys' }),
    principal: z.string().meta({ description: 'Name of the key at the time' }),
    address: z.string().nullable().meta({ description: 'Where the request came from' }),
    action: z.string().meta({ description: 'The route', examples: ['DELETE /alerts/{id}'] }),
    target: z
      .string()
      .meta({ description: 'The requested path, or the path of the object that was created' }),
    detail: z
      .record(z.string(), z.unknown())
      .meta({ description: 'Query and body; of a long body only its size' }),
    status: z.int().nullable().meta({
      description:
        'Status of the answer. Null: the request is still running, or was interrupted; then the change may or may not have been made.',
    }),
  })
  .meta({ id: 'AuditEntry' });

/** The route that lists the audit log. */
export function auditRoutes({ orm }: ApiDeps): Route[] {
  return [
    route({
      method: 'get',
      path: '/audit',
      role: 'admin',
      tags: ['keys'],
      summary: 'Who changed what',
      description: `Every request that changes something, except for storing events. Entries are kept for ${AUDIT_DAYS} days.`,
      query: z.object({
        limit: withDefault(queryInteger(1, 200), 50),
        cursor: cursorParameter,
        principal_id: uuid.optional(),
        action: z.string().optional(),
        ...range,
      }),
      responses: {
        200: { description: 'Newest first', schema: z.array(auditOut), headers: linkHeader },
      },
      async handle({ query: { limit, cursor, principal_id: principalId, ...filter }, ...input }) {
        const found = await listAudit(orm, { principalId, ...filter }, { after: cursor, limit: limit + 1 });
        const { rows, headers } = page(found, limit, ({ at, id }) => ({ at: at.getTime(), id }), input);
        return { status: 200, headers, body: rows.map(showAudit) };
      },
    }),
  ];
}

function showAudit(entry: AuditEntry): z.output<typeof auditOut> {
  return {
    id: entry.id,
    at: entry.at.toISOString(),
    principal_id: entry.principalId ?? null,
    principal: entry.principal,
    address: entry.address ?? null,
    action: entry.action,
    target: entry.target,
    detail: entry.detail,
    status: entry.status ?? null,
  };
}
