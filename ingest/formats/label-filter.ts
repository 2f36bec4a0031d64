import type { LabelMatcher } from '../../domain/received-alerts/label-matcher.ts';

/**
 * A value without quotes must not begin with a space. If two parts could match spaces, many spaces would take
 * cubic time.
 */
const FORM = /^("(?:[^"\\]|\\.)*"|[^\s"=!~{},]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|(?!\s)[^"{}]*)$/s;

/**
 * Reads a matcher as Alertmanager's `filter` writes it: `name="value"`, `=~`, `!=`, `!~`; quotes may be left
 * out. Null for none.
 */
export function parseLabelFilter(text: string): LabelMatcher | null {
  const [, name, op, value] = FORM.exec(text.trim()) ?? [];
  if (name === undefined || value === undefined) return null;
  return { name: unquoted(name), op: op as LabelMatcher['op'], value: unquoted(value) };
}

/**
 * Before anything but a quote, an `n` or another one, a backslash is itself: `=~"\d+"` has a pattern for
 * digits.
 */
function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  return text.slice(1, -1).replaceAll(/\\(["\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char));
}
