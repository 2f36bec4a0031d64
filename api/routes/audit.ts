import { z } from 'zod';
import { sqlOf } from '../../db/orm.ts';
import { AUDIT_DAYS, type AuditRow, listAudit } from '../../db/queries/audit.ts';
import type { ApiDeps } from '../deps.ts';
import { cursorParameter, linkHeader, page } from '../paging.ts';
import { type Route, route } from '../route.ts';
import { queryInteger, range, time, uuid, withDefault } from '../schemas/parameters.ts';

const auditOut = z
  .object({
    id: z.uuid(),
    at: time,
    principal_id: z.uuid().nullable().meta({ description: 'The key; null where none was asked for' }),
    principal: z.string().meta({ description: 'Its name at the time' }),
    address: z.string().nullable().meta({ description: 'Where the request came from' }),
    action: z.string().meta({ description: 'The route', examples: ['DELETE /alerts/{id}'] }),
    target: z.string().meta({ description: 'The path asked for, or that of what was made' }),
    detail: z
      .record(z.string(), z.unknown())
      .meta({ description: 'Query and body, as far as they are short' }),
    status: z
      .int()
      .nullable()
      .meta({ description: 'Of the answer; null: under way, or broken off, and then done or not' }),
  })
  .meta({ id: 'AuditEntry' });

/** The record of who changed what. */
export function auditRoutes({ orm }: ApiDeps): Route[] {
  return [
    route({
      method: 'get',
      path: '/audit',
      role: 'admin',
      tags: ['keys'],
      summary: 'Who changed what',
      description: `Every request that changes anything but by storing events. Kept for ${AUDIT_DAYS} days.`,
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
      async handle({ query: { limit, cursor, ...filter }, ...input }) {
        const found = await listAudit(sqlOf(orm), filter, { after: cursor, limit: limit + 1 });
        const { rows, headers } = page(found, limit, ({ at, id }) => ({ at, id }), input);
        return { status: 200, headers, body: rows.map(showAudit) };
      },
    }),
  ];
}

function showAudit(row: AuditRow): z.output<typeof auditOut> {
  return { ...row, at: new Date(row.at).toISOString() };
}
