/**
 * What a key may be used for. No role includes another: for example, a key with only `read` cannot write. A
 * key that needs several roles lists them.
 */
export const ROLES = ['ingest', 'read', 'operate', 'admin'] as const;
export type Role = (typeof ROLES)[number];
