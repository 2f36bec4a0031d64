import type { Horizon } from './episodes.ts';
import type { Direction } from './series.ts';

/**
 * How further events can change a condition that holds: they can only prolong it (`truer`, such as "at least
 * n events"), only end it (`falser`, such as "no event"), or do both (`either`, such as a mean above a
 * number).
 */
export type Finality = 'truer' | 'falser' | 'either';

/**
 * Derives the finality from the comparison. `moreEvents` says how further events move the value, `truerWhen`
 * in which direction the value must move for the test to become true.
 */
export function finalityOf(moreEvents: Direction, truerWhen: Direction): Finality {
  if (moreEvents === 'either' || truerWhen === 'either') return 'either';
  return moreEvents === truerWhen ? 'truer' : 'falser';
}

/**
 * Computes up to when a rule may be judged. Results that further events could take back are judged up to the
 * watermark, because all events before it were heard. Other results are judged up to the clock.
 * @param clock epoch ms, never before the watermark
 * @param watermark epoch ms
 */
export function horizonOf(finality: Finality, clock: number, watermark: number): Horizon {
  return {
    openUpTo: finality === 'truer' ? clock : watermark,
    endUpTo: finality === 'falser' ? clock : watermark,
  };
}
