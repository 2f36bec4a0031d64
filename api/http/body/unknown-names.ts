import type { z } from 'zod';
import type { FieldError } from '../problem.ts';

/**
 * How many unknown names get a suggestion. An answer lists no more errors, and suggestions for 4,000 names
 * took half a second.
 */
const MOST_SUGGESTED = 50;

/** Errors for unknown names. Each suggests the known name that is most similar. */
export function unknownNames(names: readonly string[], known: readonly string[], path = ''): FieldError[] {
  return names.map((name, i) => {
    if (i >= MOST_SUGGESTED) return { field: path ? `${path}.${name}` : name, reason: 'is unknown' };
    const [nearest] = known
      .map((other) => ({ other, distance: distance(name.slice(0, 64).toLowerCase(), other) }))
      .sort((a, b) => a.distance - b.distance);
    // With as many edits as it has letters, any name becomes any other, so such a suggestion says nothing.
    const most = Math.min(Math.max(2, name.length / 3), name.length - 1);
    const near = nearest && nearest.distance <= most;
    return {
      field: path ? `${path}.${name}` : name || '""',
      reason: near
        ? `is unknown: did you mean ${nearest.other}?`
        : `is unknown; the known names are ${known.join(', ')}`,
    };
  });
}

/** The parts of a schema's definition that contain nested schemas. */
interface Within {
  type: string;
  innerType?: z.ZodType;
  in?: z.ZodType;
  element?: z.ZodType;
  options?: z.ZodType[];
  shape?: Record<string, z.ZodType>;
  catchall?: z.ZodType;
}

/**
 * Errors for keys of a JSON body that its schema does not have. If they were ignored, a misspelt field would
 * silently have no effect.
 * @param ignored keys of the body itself that are accepted: those of an answer, because clients change an
 * answer and send it back
 */
export function unknownKeys(
  schema: z.ZodType,
  value: unknown,
  ignored: readonly string[] = [],
): FieldError[] {
  return within(definitions(schema), value, '', ignored);
}

function within(schemas: Within[], value: unknown, path: string, ignored: readonly string[]): FieldError[] {
  if (value === null || typeof value !== 'object') return [];
  const at = (key: string | number) => (path ? `${path}.${key}` : String(key));
  if (Array.isArray(value)) {
    const elements = schemas.flatMap(({ element }) => (element ? definitions(element) : []));
    return value.flatMap((item, i) => within(elements, item, at(i), []));
  }
  // If one of the schemas takes any key, no key is unknown.
  const shapes = schemas.flatMap(({ shape, catchall }) => (shape && !catchall ? [shape] : []));
  if (shapes.length === 0 || schemas.some(({ type, catchall }) => type === 'record' || catchall)) return [];
  const known = [...new Set(shapes.flatMap((shape) => Object.keys(shape)))];
  const unknown = Object.keys(value).filter((key) => !known.includes(key) && !ignored.includes(key));
  return [
    ...unknownNames(unknown, known, path),
    ...known.flatMap((key) => {
      const below = shapes.flatMap((shape) => (Object.hasOwn(shape, key) ? definitions(shape[key]!) : []));
      return within(below, (value as Record<string, unknown>)[key], at(key), []);
    }),
  ];
}

/** The definitions inside optional, default, transforms and unions. */
function definitions(schema: z.ZodType): Within[] {
  const def = schema.def as unknown as Within;
  const inner = def.innerType ?? def.in;
  if (inner) return definitions(inner);
  return def.options ? def.options.flatMap(definitions) : [def];
}

/** The edit distance of two names (Levenshtein). Two swapped neighbours count as one edit. */
function distance(a: string, b: string): number {
  let twoBefore: number[] = [];
  let before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = before[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(before[j]! + 1, row[j - 1]! + 1, change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j]!, twoBefore[j - 2]! + 1);
      }
    }
    [twoBefore, before] = [before, row];
  }
  return before[b.length]!;
}
