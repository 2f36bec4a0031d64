/**
 * Writes JSON so that equal values have equal texts, whatever the order of their keys. Senders and
 * PostgreSQL's jsonb order keys differently. Group keys are made of these texts, so the format must never
 * change.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(inOrder(value));
}

function inOrder(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(inOrder);
  return Object.fromEntries(sortedEntries(value).map(([key, item]) => [key, inOrder(item)]));
}

/** The members of an object, sorted by the UTF-16 code units of their names. */
export function sortedEntries(object: object): [name: string, value: unknown][] {
  return Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1));
}
