import { RE2JS } from 're2js';
import { compareDecimals } from '../decimal.ts';
import type { Event, Json } from '../events/event.ts';
import { parsePath } from '../events/path.ts';

export const MATCH_OPERATORS = ['=', '!=', 'in', '=~', '!~', '>', '<', 'exists'] as const;
export type MatchOperator = (typeof MATCH_OPERATORS)[number];

/**
 * A test of one field. `field` is `event_type`, `severity`, `source_id`, `event_id`, or a path into the
 * payload: `payload.host.name`, list items by index (`payload.disks.0.free`), other keys in brackets
 * (`payload["host.name"]`).
 */
export interface Matcher {
  field: string;
  op: MatchOperator;
  /** A string, number or boolean; for `in` a list of them; for `exists` a boolean (true by default). */
  value?: Json;
}

export type Predicate = (event: Event) => boolean;

/** A matcher that cannot be compiled: an unknown field, a value of the wrong type, a bad pattern. */
export class MatcherError extends Error {
  override name = 'MatcherError';
}

const EVENT_FIELDS = new Set(['event_type', 'severity', 'source_id', 'event_id']);

/**
 * The longest pattern, in characters. RE2 takes linear time in the text, but its program grows with the
 * pattern.
 */
const MAX_PATTERN = 1000;

/** The most instructions of a compiled pattern. Matching takes up to that many steps per character. */
const MAX_PROGRAM = 500;

/**
 * Reads a field of an event. Only own properties count, so `payload.constructor` finds nothing. @returns
 * undefined if the path leads nowhere
 */
export function fieldOf(event: Event, path: readonly string[]): Json | undefined {
  if (path[0] !== 'payload') return event[path[0] as 'event_type'];
  let value: Json | undefined = event.payload;
  for (let i = 1; i < path.length; i++) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, path[i]!)) return undefined;
    value = (value as { [key: string]: Json })[path[i]!];
  }
  return value;
}

/** Splits a field into its path. @throws MatcherError for a field that no event has. */
export function parseField(field: string): string[] {
  if (EVENT_FIELDS.has(field)) return [field];
  const { keys, blank } = parsePath(field);
  if (!field.startsWith('payload') || keys[0] !== 'payload' || keys.length < 2 || blank) {
    throw new MatcherError(
      `unknown field "${field}": use event_type, severity, source_id, event_id or payload.<path>`,
    );
  }
  return keys;
}

/**
 * Compiles a matcher. Strings are compared as strings. A number in the matcher is compared with numbers, and
 * with strings that look like a number. A missing field fails every test except `!=`, `!~` and `exists:
 * false`, like labels in Prometheus. Patterns are RE2 (linear time) and anchored at both ends, as in
 * Prometheus.
 * @throws MatcherError
 */
export function compileMatcher(matcher: Matcher): Predicate {
  const path = parseField(matcher.field);
  const test = valueTest(matcher);
  return (event) => test(fieldOf(event, path));
}

/** Compiles matchers; all of them must match. Without any, everything matches. @throws MatcherError */
export function compileMatchers(matchers: readonly Matcher[]): Predicate {
  const predicates = matchers.map(compileMatcher);
  const [only] = predicates;
  if (only && predicates.length === 1) return only;
  return (event) => predicates.every((holds) => holds(event));
}

function valueTest({ op, value, field }: Matcher): (found: Json | undefined) => boolean {
  switch (op) {
    case '=':
      return equals(scalar(value, field));
    case '!=': {
      const same = equals(scalar(value, field));
      return (found) => !same(found);
    }
    case 'in': {
      if (!Array.isArray(value)) throw new MatcherError(`"in" on ${field} takes a list`);
      const tests = value.map((item) => equals(scalar(item, field)));
      return (found) => tests.some((test) => test(found));
    }
    case '=~': {
      const pattern = compilePattern(value, field);
      return (found) => isScalar(found) && pattern.matches(String(found));
    }
    case '!~': {
      const pattern = compilePattern(value, field);
      return (found) => !(isScalar(found) && pattern.matches(String(found)));
    }
    case '>':
    case '<': {
      if (typeof value !== 'number') throw new MatcherError(`"${op}" on ${field} takes a number`);
      return (found) => {
        const size = compare(found, value);
        return size !== undefined && (op === '>' ? size > 0 : size < 0);
      };
    }
    case 'exists': {
      if (value !== undefined && typeof value !== 'boolean') {
        throw new MatcherError(`"exists" on ${field} takes true or false`);
      }
      return (found) => (found !== undefined && found !== null) === (value ?? true);
    }
    default:
      throw new MatcherError(`unknown operator "${op as string}" on ${field}`);
  }
}

function isScalar(value: Json | undefined): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function scalar(value: Json | undefined, field: string): string | number | boolean {
  if (!isScalar(value))
    throw new MatcherError(`${field} can be compared only with a string, a number or a boolean`);
  return value;
}

function equals(wanted: string | number | boolean): (found: Json | undefined) => boolean {
  if (typeof wanted === 'number') return (found) => compare(found, wanted) === 0;
  const text = String(wanted);
  return (found) => found === text || (isScalar(found) && String(found) === text);
}

/**
 * Compares a number, or a text that looks like one, with a number: negative, 0 or positive. All digits of a
 * text count.
 */
function compare(value: Json | undefined, wanted: number): number | undefined {
  if (typeof value === 'number') return value - wanted;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const exact = compareDecimals(value, String(wanted).replace('e+', 'e'));
  if (exact !== null) return exact;
  const number = Number(value);
  return Number.isFinite(number) ? number - wanted : undefined;
}

/** Compiles an RE2 pattern of limited cost, whose `matches` is anchored at both ends. @throws MatcherError */
export function compilePattern(value: Json | undefined, field: string): RE2JS {
  if (typeof value !== 'string') throw new MatcherError(`a pattern on ${field} is a string`);
  if (value.length > MAX_PATTERN) {
    throw new MatcherError(`the pattern on ${field} is longer than ${MAX_PATTERN} characters`);
  }
  let pattern: RE2JS;
  try {
    // As in Prometheus 3, a dot matches every character, including newlines.
    pattern = RE2JS.compile(value, RE2JS.DOTALL);
  } catch (error) {
    throw new MatcherError(`bad pattern on ${field}: ${(error as Error).message}`);
  }
  if (pattern.programSize() > MAX_PROGRAM) {
    throw new MatcherError(
      `the pattern on ${field} is too costly: write it with fewer or smaller repetitions`,
    );
  }
  return pattern;
}
