import type { Bench, Figure } from '../bench.ts';
import { replaceRules } from '../rules.ts';
import { median } from '../table.ts';
import { burst } from './batches.ts';

const MATCHING = 10;

/**
 * The rate of batches with 10,000 rules divided by the rate with 10. The same number of rules match in both.
 */
export async function measureManyRules(bench: Bench): Promise<Figure[]> {
  const events = bench.quick ? 10_000 : 60_000;
  const [few, many]: [number[], number[]] = [[], []];
  for (let round = 0; round < (bench.quick ? 4 : 8); round++) {
    const both = [
      [MATCHING, few],
      [10_000, many],
    ] as const;
    // The order alternates, because the second run may find warm caches or cause a checkpoint.
    for (const [count, rates] of round % 2 === 0 ? both : both.toReversed()) {
      await replaceRules(bench.database, count, MATCHING);
      // The first append after a change reads all rules.
      await burst(bench, 500);
      rates.push(await burst(bench, events));
    }
  }
  return [
    {
      measure: 'batches, 10,000 rules over 10, 10 match',
      value: median(many.map((rate, i) => rate / few[i]!)),
      ...{ floor: 0.8, aim: 0.95, better: 'more', unit: '' },
      detail: `${Math.round(median(many))} over ${Math.round(median(few))} events/s`,
    },
  ];
}
