import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import type { Event, Json } from '../events/event.ts';
import { fieldOf, parseField } from './matcher.ts';

/** The key of the only group of a rule without `group_by`. */
export const SOLE_GROUP = '';

/**
 * The key of the overflow group, which gets the events of all groups beyond `max_groups`. No real key equals
 * it, because real keys are '' or JSON lists.
 */
export const OVERFLOW_GROUP = '*';

/** The longest key that is stored in full. A longer one is cut, and a hash is added. */
const MAX_KEY = 200;

/**
 * Makes a function that returns an event's group key: the canonical JSON list of its `group_by` values, with
 * null for a missing field.
 * @throws MatcherError for a field that no event has
 */
export function compileGroupKey(groupBy: readonly string[]): (event: Event) => string {
  if (groupBy.length === 0) return () => SOLE_GROUP;
  const paths = groupBy.map(parseField);
  return (event) => {
    const key = canonicalJson(paths.map((path) => fieldOf(event, path) ?? null));
    if (key.length <= MAX_KEY) return key;
    return JSON.stringify({
      // `toWellFormed`, because PostgreSQL refuses half of a surrogate pair.
      cut: key.slice(0, MAX_KEY).toWellFormed(),
      sha256: createHash('sha256').update(key).digest('hex'),
    });
  };
}

/** Says whether a key was cut, so that its values are known only from an event of the group. */
export const isCutKey = (groupKey: string) => groupKey.startsWith('{');

/** The values of a group by field name, for people. Of a cut key, its beginning and the hash. */
export function groupLabels(groupBy: readonly string[], groupKey: string): Record<string, string> {
  if (groupKey === SOLE_GROUP) return {};
  if (groupKey === OVERFLOW_GROUP) return { overflow: 'true' };
  const values = JSON.parse(groupKey) as Json[] | { cut: string; sha256: string };
  if (!Array.isArray(values)) return { group: `${values.cut}~${values.sha256.slice(0, 8)}` };
  return Object.fromEntries(groupBy.map((field, i) => [field, labelOf(values[i] ?? null)]));
}

/**
 * The same from an event of the group, whatever its key. Long values keep their beginning and end with `~`
 * and a hash.
 */
export function groupLabelsOf(groupBy: readonly string[], event: Event): Record<string, string> {
  return Object.fromEntries(
    groupBy.map((field) => [field, labelOf(fieldOf(event, parseField(field)) ?? null)]),
  );
}

/**
 * Converts a value into a label. A text stays as it is, unless it looks like another JSON value; then it is
 * in quotes. So people can tell 1 from "1" and null from "null", and no two values have the same label.
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

/** A field of an event by its path, with the texts that it has in some groups. */
export interface FieldTexts {
  path: string[];
  texts: string[];
}

/**
 * Finds fields that are texts in the keys of all these groups, so that SQL can leave out most events of other
 * groups. Other fields, and keys that were cut, are left to the comparison of group keys.
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
