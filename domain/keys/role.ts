/**
 * What a key may be used for. None includes another: a key that reads can't write, and one that sends events
 * can do nothing else; whoever needs several has them listed.
 */
export const ROLES = ['ingest', 'read', 'operate', 'admin'] as const;
export type Role = (typeof ROLES)[number];
