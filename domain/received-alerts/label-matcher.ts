import { compilePattern, MatcherError } from '../rules/matcher.ts';

const LABEL_OPERATORS = ['=', '!=', '=~', '!~'] as const;

/** A test of one label, as in Alertmanager's `filter`. A missing label counts as empty. */
export interface LabelMatcher {
  name: string;
  op: (typeof LABEL_OPERATORS)[number];
  value: string;
}

/**
 * Compiles matchers; all of them must match. Patterns are RE2, anchored at both ends. @throws MatcherError
 */
export function compileLabelMatchers(
  matchers: readonly LabelMatcher[],
): (labels: Record<string, string>) => boolean {
  const tests = matchers.map(compile);
  return (labels) => tests.every((holds) => holds(labels));
}

function compile({ name, op, value }: LabelMatcher): (labels: Record<string, string>) => boolean {
  const found = (labels: Record<string, string>) => (Object.hasOwn(labels, name) ? labels[name]! : '');
  switch (op) {
    case '=':
      return (labels) => found(labels) === value;
    case '!=':
      return (labels) => found(labels) !== value;
    case '=~':
    case '!~': {
      const pattern = compilePattern(value, name);
      return (labels) => pattern.matches(found(labels)) === (op === '=~');
    }
    default:
      throw new MatcherError(`unknown operator "${op as string}" on ${name}`);
  }
}
