import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * The audit log: who changed what. An entry is written before the change, and gets its outcome afterwards.
 */
export const AuditEntity = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_log',
  properties: {
    id: p.uuid().primary(),
    at: p.datetime(3),
    /** The key; null if the API required none. */
    principalId: p.uuid().nullable(),
    /** Name of the key at that time. */
    principal: p.string().length(100),
    /** The client's address. */
    address: p.string().length(64).nullable(),
    /** Method and path of the route: `DELETE /alerts/{id}`. */
    action: p.string().length(200),
    /** The requested path, or the path of the created object. */
    target: p.text(),
    /** Query and body, if they are short, without secrets. */
    detail: p.json<Record<string, unknown>>(),
    /** Status of the answer. Null if there was none; the change may or may not have been made. */
    status: p.smallint().nullable(),
  },
  indexes: [
    { name: 'audit_log_at_index', properties: ['at', 'id'] },
    { name: 'audit_log_principal_id_index', properties: ['principalId', 'at', 'id'] },
  ],
});
export type AuditEntry = InferEntity<typeof AuditEntity>;
