import { isStorable, storableText } from '../../db/storable.ts';

/** Texts shorter than this are never cut, in characters. */
const SHORTEST_CUT = 128;
const LONGEST_KEPT = 32 * 1024;

type Container = object;

/**
 * Repairs a JSON value in place so that PostgreSQL can store it. NUL and halves of surrogate pairs become
 * U+FFFD, in texts and keys; -0 becomes 0. It does not recurse, because deep nesting would overflow the
 * stack.
 * @returns what cannot be repaired, or null
 */
export function repair(root: Container, deepest: number): string | null {
  const stack: { container: Container; depth: number }[] = [{ container: root, depth: 1 }];
  while (stack.length > 0) {
    const { container, depth } = stack.pop()!;
    if (depth > deepest) return `nested deeper than ${deepest}`;
    for (const [key, value] of Object.entries(container)) {
      let kept: unknown = value;
      if (typeof value === 'string') {
        if (!isStorable(value)) kept = storableText(value);
      } else if (typeof value === 'number') {
        if (!Number.isFinite(value)) return 'must not contain numbers that are too large';
        // jsonb has only one zero, and a repeated event must equal the stored one.
        if (Object.is(value, -0)) kept = 0;
      } else if (value !== null && typeof value === 'object') {
        stack.push({ container: value as Container, depth: depth + 1 });
      }
      const name = isStorable(key) ? key : storableText(key);
      if (name !== key) Reflect.deleteProperty(container, key);
      if (name !== key || !Object.is(kept, value)) put(container, name, kept);
    }
  }
  return null;
}

/**
 * Shortens the longest texts of a JSON value in place, until it has at most `longest` characters as JSON. Cut
 * texts say so. @returns true if it is short enough now
 */
export function shorten(root: Container, longest: number): boolean {
  for (let most = LONGEST_KEPT; JSON.stringify(root).length > longest; most /= 2) {
    if (most < SHORTEST_CUT) return false;
    cutTexts(root, most);
  }
  return true;
}

function cutTexts(root: Container, most: number): void {
  const stack: Container[] = [root];
  while (stack.length > 0) {
    const container = stack.pop()!;
    for (const [key, value] of Object.entries(container)) {
      if (typeof value === 'string') {
        if (value.length > most) put(container, key, cutText(value, most));
      } else if (value !== null && typeof value === 'object') stack.push(value as Container);
    }
  }
}

const MARK = /… \[cut from (\d+) characters\]$/;

/** The beginning of a text, with the original length. */
export function cutText(text: string, most: number): string {
  if (text.length <= most) return text;
  const [, before] = MARK.exec(text) ?? [];
  const mark = `… [cut from ${before ?? text.length} characters]`;
  return text.slice(0, most - mark.length).replace(/[\ud800-\udbff]$/, '') + mark;
}

/** `defineProperty`, because assigning `__proto__` would set the prototype. */
function put(container: Container, key: string, value: unknown): void {
  if (key !== '__proto__') (container as Record<string, unknown>)[key] = value;
  else Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true });
}
