import { below, exactSeries, firstAtLeast } from '../series.ts';
import type { MemoryCondition } from './kind.ts';

/**
 * The condition holds at t while a group that had events before has none in [t − window, t]. A deaf span
 * counts like an event: nobody knows whether the group was silent, so its window begins again after the span.
 */
export function absenceInMemory({ window_seconds }: { window_seconds: number }): MemoryCondition<number> {
  const windowMs = window_seconds * 1000;
  const silent = below(1);
  return {
    moreEvents: 'up',
    tests: { opens: silent, keeps: silent },
    seriesOf(events, deaf) {
      const heard = [...events.map(({ occurred_at: at }) => ({ from: at, to: at })), ...deaf];
      const begins = heard.map(({ from }) => from).sort((a, b) => a - b);
      const ends = heard.map(({ to }) => to).sort((a, b) => a - b);
      return exactSeries(
        heard.flatMap(({ from, to }) => [from, to + windowMs + 1]),
        // How many events and deaf stretches overlap the window: those that began up to t, minus those that
        // ended before the window.
        (t) => firstAtLeast(begins, t + 1) - firstAtLeast(ends, t - windowMs),
      );
    },
  };
}
