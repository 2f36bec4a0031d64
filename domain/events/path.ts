/** A key in brackets, written as a JSON string. After it comes the next key, or nothing. */
const BRACKETED = /\[("(?:[^"\\]|\\.)*")\](?=$|\.|\[")/y;

/**
 * Parses a path into keys. `host.name` has two; list items go by their index. A key that contains dots or is
 * empty is written in brackets as a JSON string: `labels["app.kubernetes.io/name"]`, `["a \"b\""].c`,
 * `a[""]`. Brackets without such a string are part of a key.
 * @returns `blank`: true if a key without brackets is empty
 */
export function parsePath(text: string): { keys: string[]; blank: boolean } {
  const keys: string[] = [];
  let blank = false;
  let at = 0;
  while (true) {
    const bracketed = keyInBrackets(text, at);
    if (bracketed) {
      keys.push(bracketed.key);
      at = bracketed.end;
    } else {
      let end = at;
      while (end < text.length && text[end] !== '.' && !keyInBrackets(text, end)) end++;
      if (end === at) blank = true;
      keys.push(text.slice(at, end));
      at = end;
    }
    if (at >= text.length) return { keys, blank };
    if (text[at] === '.') at++;
  }
}

function keyInBrackets(text: string, at: number): { key: string; end: number } | null {
  if (text[at] !== '[') return null;
  BRACKETED.lastIndex = at;
  const [all, quoted] = BRACKETED.exec(text) ?? [];
  if (all === undefined || quoted === undefined) return null;
  try {
    return { key: JSON.parse(quoted) as string, end: at + all.length };
  } catch {
    return null;
  }
}

/** Writes keys as a path, each in brackets. */
export function writePath(keys: readonly string[]): string {
  return keys.map((key) => `[${JSON.stringify(key)}]`).join('');
}

/** Finds where the path of `path=value` ends: at the first `=` outside of brackets. -1 if there is none. */
export function endOfPath(text: string): number {
  for (let at = 0; at < text.length; at++) {
    const bracketed = keyInBracketsBefore(text, at);
    if (bracketed) at = bracketed - 1;
    else if (text[at] === '=') return at;
  }
  return -1;
}

const BRACKETED_BEFORE = /\["(?:[^"\\]|\\.)*"\](?=[.=]|\[")/y;

function keyInBracketsBefore(text: string, at: number): number | null {
  if (text[at] !== '[') return null;
  BRACKETED_BEFORE.lastIndex = at;
  return BRACKETED_BEFORE.test(text) ? BRACKETED_BEFORE.lastIndex : null;
}
