import type { Event } from './event.ts';
import { fieldOf } from './matcher.ts';

/** Which events to read. What is absent doesn't matter. */
export interface EventFilter {
  severity?: string | undefined;
  source_id?: string | undefined;
  event_type?: string | undefined;
  /** Payload values as text, by path: `{ 'host.name': 'web-1' }`. */
  payload?: Readonly<Record<string, string>> | undefined;
}

/** Compiles a filter for events that pass by. It holds for those that a list with the same filter has. */
export function compileFilter({
  payload = {},
  ...equalities
}: EventFilter): (event: Omit<Event, 'occurred_at'>) => boolean {
  const wanted = Object.entries(equalities).filter(([, value]) => value !== undefined);
  const paths = Object.entries(payload).map(([path, value]) => ({
    path: ['payload', ...path.split('.')],
    value,
  }));
  return (event) =>
    wanted.every(([field, value]) => event[field as 'severity'] === value) &&
    paths.every(({ path, value }) => textOf(fieldOf(event as Event, path)) === value);
}

/** A payload value as PostgreSQL's `#>>` has it, but for the spacing of lists and objects. */
function textOf(value: ReturnType<typeof fieldOf>): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
