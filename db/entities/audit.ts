import { defineEntity, p } from '@mikro-orm/core';

/** Who changed what. Written before the change, and once more with what came of it. */
export const AuditEntity = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_log',
  properties: {
    id: p.uuid().primary(),
    at: p.datetime(3),
    /** The key; null where none was asked for. */
    principalId: p.uuid().nullable(),
    /** Its name at the time. */
    principal: p.string().length(100),
    /** Where the request came from. */
    address: p.string().length(64).nullable(),
    /** Method and path of the route: `DELETE /alerts/{id}`. */
    action: p.string().length(200),
    /** The path asked for, or that of what was made. */
    target: p.text(),
    /** Query and body, as far as they are short and hold no secret. */
    detail: p.json<Record<string, unknown>>(),
    /** Status of the answer; null: it never came to one, and the change may have been made or not. */
    status: p.smallint().nullable(),
  },
  indexes: [
    { name: 'audit_log_at_index', properties: ['at', 'id'] },
    { name: 'audit_log_principal_id_index', properties: ['principalId', 'at', 'id'] },
  ],
});
