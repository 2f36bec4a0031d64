import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import type { Event, Json } from '../events/event.ts';
import { fieldOf, parseField } from './matcher.ts';

/** The key of the only group of a rule without `group_by`. */
export const SOLE_GROUP = '';

/**
 * The group that takes what does not fit under a rule's `max_groups`. Cannot collide: real keys are '' or
 * JSON lists.
 */
export const OVERFLOW_GROUP = '*';

/** Longest key kept readable; a longer one is cut and told apart by its hash. */
const MAX_KEY = 200;

/**
 * Builds the function that names an event's group: the canonical JSON list of its `group_by` values,
 * null where the event has no such field.
 * @throws MatcherError for a field that no event has.
 */
export function compileGroupKey(groupBy: readonly string[]): (event: Event) => string {
  if (groupBy.length === 0) return () => SOLE_GROUP;
  const paths = groupBy.map(parseField);
  return (event) => {
    const key = canonicalJson(paths.map((path) => fieldOf(event, path) ?? null));
    if (key.length <= MAX_KEY) return key;
    return JSON.stringify({
      // Cut between the halves of a surrogate pair it would be a label that PostgreSQL refuses.
      cut: key.slice(0, MAX_KEY).toWellFormed(),
      sha256: createHash('sha256').update(key).digest('hex'),
    });
  };
}

/** Whether a key is too short for its values: only an event of the group has them. */
export const isCutKey = (groupKey: string) => groupKey.startsWith('{');

/**
 * The group's values by field name, for people to read. Of a key that was cut its beginning, and what tells
 * it from others.
 */
export function groupLabels(groupBy: readonly string[], groupKey: string): Record<string, string> {
  if (groupKey === SOLE_GROUP) return {};
  if (groupKey === OVERFLOW_GROUP) return { overflow: 'true' };
  const values = JSON.parse(groupKey) as Json[] | { cut: string; sha256: string };
  if (!Array.isArray(values)) return { group: `${values.cut}~${values.sha256.slice(0, 8)}` };
  return Object.fromEntries(groupBy.map((field, i) => [field, labelOf(values[i] ?? null)]));
}

/**
 * The same of one of the group's events, whatever its key: long values keep their beginning and end in `~`
 * and a hash.
 */
export function groupLabelsOf(groupBy: readonly string[], event: Event): Record<string, string> {
  return Object.fromEntries(
    groupBy.map((field) => [field, labelOf(fieldOf(event, parseField(field)) ?? null)]),
  );
}

/**
 * A value as a label. A text is as it is, unless it reads as other JSON: then it is in quotes, so that 1 and
 * "1", null and "null" are not the same to whoever reads them. No two values have the same label.
 */
function labelOf(value: Json): string {
  const label = typeof value === 'string' && !isJson(value) ? value : canonicalJson(value);
  if (label.length <= MAX_KEY) return label;
  const hash = createHash('sha256').update(label).digest('hex').slice(0, 8);
  return `${label.slice(0, MAX_KEY - 9).replace(/[\ud800-\udbff]$/, '')}~${hash}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A field of an event, by its path, and the texts that it has in some groups. */
export interface FieldTexts {
  path: string[];
  texts: string[];
}

/**
 * What the keys of some groups say of their events' fields, so that SQL can leave out most of the others.
 * Fields that are not a text in each of the groups are left to the group key, and so are keys that were cut.
 */
export function textsOfGroups(groupBy: readonly string[], groupKeys: readonly string[]): FieldTexts[] {
  const lists = groupKeys.map((key): unknown =>
    key === SOLE_GROUP || key === OVERFLOW_GROUP ? null : JSON.parse(key),
  );
  return groupBy.flatMap((field, i) => {
    const values = lists.map((list) => (Array.isArray(list) ? (list[i] as unknown) : undefined));
    if (!values.every((value) => typeof value === 'string')) return [];
    return [{ path: parseField(field), texts: [...new Set(values)] }];
  });
}
