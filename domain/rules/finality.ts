import type { Direction } from './series.ts';
import type { Horizon } from './transition.ts';

/**
 * What more events can do to a condition that holds: make it hold longer (`truer`, such as "at least n
 * events"), end it (`falser`, such as "no event"), or either (such as a mean above a number).
 */
export type Finality = 'truer' | 'falser' | 'either';

/**
 * Finality follows the comparison. `moreEvents` says how further events move the value, `truerWhen` how the
 * value must move for the test to become true.
 */
export function finalityOf(moreEvents: Direction, truerWhen: Direction): Finality {
  if (moreEvents === 'either' || truerWhen === 'either') return 'either';
  return moreEvents === truerWhen ? 'truer' : 'falser';
}

/**
 * Up to when a rule may be judged. What further events could still take back is decided up to the watermark:
 * before it, every event was heard. Everything else is decided up to the clock.
 * @param clock epoch ms, never before the watermark
 * @param watermark epoch ms
 */
export function horizonOf(finality: Finality, clock: number, watermark: number): Horizon {
  return {
    openUpTo: finality === 'truer' ? clock : watermark,
    endUpTo: finality === 'falser' ? clock : watermark,
  };
}
