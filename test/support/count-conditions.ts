import { type Conditions, conditionsOf } from '../../domain/rules/episodes.ts';
import type { WindowSpec } from '../../domain/rules/rule.ts';
import { atLeast, type Series, type Tests } from '../../domain/rules/series.ts';

/** The tests of a count rule with these numbers. */
export const countTests = ({ threshold, recovery }: WindowSpec): Tests<number> => ({
  opens: atLeast(threshold),
  keeps: atLeast(recovery),
});

/** The conditions of a count rule with these numbers, for one group. */
export const countConditions = (counts: Series<number>, spec: WindowSpec): Conditions =>
  conditionsOf(counts, countTests(spec));
