import { scaledBy, scaleOf } from '../../decimal.ts';
import { fieldOf, parseField } from '../matcher.ts';
import { exactSeries, firstAtLeast, type Test } from '../series.ts';
import type { MemoryCondition } from './kind.ts';

/**
 * The condition holds at t while the mean of a numeric field, over the events in [t − window, t], passes the
 * comparison with the threshold.
 */
export interface AvgCondition {
  /** The field with the number, such as `payload.ms`. Events without a number there are not counted. */
  field: string;
  op: '>' | '>=' | '<' | '<=';
  threshold: number;
  window_seconds: number;
}

/** The sum of some decimals, in units of 10^−scale, and their number. */
interface Mean {
  sum: bigint;
  n: number;
  scale: number;
}

/**
 * The mean of a number. Sums are exact decimals, so the order of events cannot change the answer. Further
 * events may move a mean in either direction, so it is decided up to the watermark.
 * @throws MatcherError for a field that no event has
 */
export function avgInMemory({ field, op, threshold, window_seconds }: AvgCondition): MemoryCondition<Mean> {
  const windowMs = window_seconds * 1000;
  const path = parseField(field);
  const test = compareMean(op, threshold);
  return {
    moreEvents: 'either',
    tests: { opens: test, keeps: test },
    seriesOf(events) {
      const numbers = events
        .flatMap((event) => {
          const value = fieldOf(event, path);
          return typeof value === 'number' ? [{ at: event.occurred_at, value }] : [];
        })
        .sort((a, b) => a.at - b.at);
      const scale = numbers.reduce((most, { value }) => Math.max(most, scaleOf(value)), 0);
      const times = numbers.map(({ at }) => at);
      const sums = [0n];
      for (const { value } of numbers) sums.push(sums.at(-1)! + scaledBy(value, scale));
      return exactSeries(
        times.flatMap((time) => [time, time + windowMs + 1]),
        (t) => {
          const [first, end] = [firstAtLeast(times, t - windowMs), firstAtLeast(times, t + 1)];
          return { sum: sums[end]! - sums[first]!, n: end - first, scale };
        },
      );
    },
  };
}

/** Compares the sum with the threshold times the number of events. A mean of nothing passes no test. */
function compareMean(op: AvgCondition['op'], threshold: number): Test<Mean> {
  const own = scaleOf(threshold);
  const passes = ({ sum, n, scale }: Mean): boolean => {
    if (n === 0) return false;
    const both = Math.max(scale, own);
    const difference = sum * 10n ** BigInt(both - scale) - scaledBy(threshold, both) * BigInt(n);
    return { '>': difference > 0n, '>=': difference >= 0n, '<': difference < 0n, '<=': difference <= 0n }[op];
  };
  return { truerWhen: 'either', verdict: (mean) => (passes(mean) ? 'yes' : 'no') };
}
