import type { Horizon } from './episodes.ts';
import type { Direction } from './series.ts';

/**
 * How further events can change a condition that holds: they can only prolong it (`truer`, such as "at least
 * n events"), only end it (`falser`, such as "no event"), or do both (`either`, such as a mean above a
 * number).
 */
export type Finality = 'truer' | 'falser' | 'either';

/** What decides the finality of a rule: how further events move its value, and how it compares the value. */
export interface Comparison {
  readonly moreEvents: Direction;
  readonly tests: Readonly<Record<'opens' | 'keeps', { truerWhen: Direction }>>;
}

/** Derives the finality from the comparison. */
export function finalityOf({ moreEvents, tests: { opens, keeps } }: Comparison): Finality {
  const { truerWhen } = opens;
  if (moreEvents === 'either' || truerWhen === 'either' || keeps.truerWhen !== truerWhen) return 'either';
  return moreEvents === truerWhen ? 'truer' : 'falser';
}

/**
 * Computes up to when a rule may be judged. Results that further events could take back are judged up to the
 * watermark, because all events before it were heard. Other results are judged up to the clock.
 * @param clock epoch ms, never before the watermark
 * @param watermark epoch ms
 */
export function horizonOf(comparison: Comparison, clock: number, watermark: number): Horizon {
  const finality = finalityOf(comparison);
  return {
    openUpTo: finality === 'truer' ? clock : watermark,
    endUpTo: finality === 'falser' ? clock : watermark,
  };
}
