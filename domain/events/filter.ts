import { inFull } from '../decimal.ts';
import type { Event, Json } from './event.ts';

/** A payload value as text, with the keys that lead to it. */
export interface PayloadTest {
  path: readonly string[];
  value: string;
}

/** Which events to read. Absent fields match everything. */
export interface EventFilter {
  severity?: string | undefined;
  source_id?: string | undefined;
  event_type?: string | undefined;
  payload?: readonly PayloadTest[] | undefined;
}

/** Compiles a filter for streamed events. It matches the same events as a list with this filter. */
export function compileFilter({
  payload = [],
  ...equalities
}: EventFilter): (event: Omit<Event, 'occurred_at'>) => boolean {
  const wanted = Object.entries(equalities).filter(([, value]) => value !== undefined);
  return (event) =>
    wanted.every(([field, value]) => event[field as 'severity'] === value) &&
    payload.every(({ path, value }) => textOf(valueAt(event.payload, path)) === value);
}

/** Finds what PostgreSQL's `#>` finds. List items go by index, from the end if it is negative. */
function valueAt(root: Json, path: readonly string[]): Json | undefined {
  let value: Json | undefined = root;
  for (const key of path) {
    if (Array.isArray(value)) value = /^\s*[+-]?\d{1,9}$/.test(key) ? value.at(Number(key)) : undefined;
    else if (value !== null && typeof value === 'object' && Object.hasOwn(value, key)) value = value[key];
    else return undefined;
  }
  return value;
}

/** A payload value as the text that PostgreSQL's `#>>` returns. */
function textOf(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : jsonbText(value);
}

function jsonbText(value: Json): string {
  if (typeof value === 'number') return inFull(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonbText).join(', ')}]`;
  const members = Object.entries(value).map(([key, item]) => ({ key: Buffer.from(key), item }));
  // By length, then by bytes, which is the order of jsonb.
  members.sort((a, b) => a.key.length - b.key.length || a.key.compare(b.key));
  return `{${members.map(({ key, item }) => `${JSON.stringify(key.toString())}: ${jsonbText(item)}`).join(', ')}}`;
}
