import { finalityOf } from '../finality.ts';
import { below, exactSeries, firstAtLeast } from '../series.ts';
import type { MemoryCondition } from './kind.ts';

/**
 * Holds at t while a group that was seen before has no event in [t − window, t]. A stretch in which Tocsin
 * could not hear counts like an event: nobody knows whether the group was silent, so its window begins anew
 * after the stretch.
 */
export function absenceInMemory({ window_seconds }: { window_seconds: number }): MemoryCondition<number> {
  const windowMs = window_seconds * 1000;
  const silent = below(1);
  return {
    finality: finalityOf('up', silent.truerWhen),
    tests: { opens: silent, keeps: silent },
    seriesOf(events, deaf) {
      const heard = [...events.map(({ occurred_at: at }) => ({ from: at, to: at })), ...deaf];
      const begins = heard.map(({ from }) => from).sort((a, b) => a - b);
      const ends = heard.map(({ to }) => to).sort((a, b) => a - b);
      return exactSeries(
        heard.flatMap(({ from, to }) => [from, to + windowMs + 1]),
        // Those that began by t, without those that ended before the window.
        (t) => firstAtLeast(begins, t + 1) - firstAtLeast(ends, t - windowMs),
      );
    },
  };
}
