import { isStorable } from '../../../db/storable.ts';
import { BODY_DEPTH, BODY_KEYS, BODY_VALUES } from '../limits.ts';
import { Invalid } from '../problem.ts';

/**
 * Refuses JSON that PostgreSQL cannot store or zod would lose: the name `__proto__` (zod drops it), NUL
 * bytes, broken surrogates, numbers that are too large, deep nesting, too many values. It does not recurse,
 * so that nesting cannot exhaust the stack.
 * @throws Invalid
 */
export function checkStorable(root: unknown): void {
  const stack: { value: unknown; path: string; depth: number }[] = [{ value: root, path: '', depth: 0 }];
  let values = 0;
  while (stack.length > 0) {
    const { value, path, depth } = stack.pop()!;
    if (typeof value === 'string' && !isStorable(value)) {
      throw new Invalid([{ field: path, reason: 'must not contain NUL or broken surrogates' }]);
    }
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new Invalid([{ field: path, reason: 'is a number that is too large' }]);
    }
    if (value === null || typeof value !== 'object') continue;
    if (depth >= BODY_DEPTH) throw new Invalid([{ field: path, reason: `nested deeper than ${BODY_DEPTH}` }]);
    const entries = Object.entries(value);
    values += entries.length;
    if (values > BODY_VALUES) {
      throw new Invalid([{ field: '', reason: `the body has more than ${BODY_VALUES} values` }]);
    }
    if (!Array.isArray(value) && entries.length > BODY_KEYS) {
      throw new Invalid([{ field: path, reason: `must have at most ${BODY_KEYS} keys` }]);
    }
    for (const [key, item] of entries) {
      if (!isStorable(key)) {
        throw new Invalid([{ field: path, reason: 'must not contain NUL or broken surrogates' }]);
      }
      if (key === '__proto__') {
        throw new Invalid([{ field: path, reason: 'must not contain the name __proto__' }]);
      }
      stack.push({ value: item, path: path ? `${path}.${key}` : key, depth: depth + 1 });
    }
  }
}
