import type { LabelMatcher } from '../../domain/received-alerts/label-matcher.ts';

/**
 * A value without quotes must not begin with a space. If two parts could match spaces, many spaces would take
 * cubic time.
 */
const FORM = /^("(?:[^"\\]|\\.)*"|[^\s"=!~{},]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|(?!\s)[^"{}]*)$/s;

/**
 * Parses a matcher in the form of Alertmanager's `filter`: `name="value"`, also with `=~`, `!=` or `!~`, and
 * without quotes. Null if it is none.
 */
export function parseLabelFilter(text: string): LabelMatcher | null {
  const [, name, op, value] = FORM.exec(text.trim()) ?? [];
  if (name === undefined || value === undefined) return null;
  return { name: unquoted(name), op: op as LabelMatcher['op'], value: unquoted(value) };
}

/**
 * Removes quotes and escapes. A backslash before any character other than a quote, an `n` or a backslash
 * stays: `=~"\d+"` is a pattern for digits.
 */
function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  return text.slice(1, -1).replaceAll(/\\(["\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char));
}
