import type { WindowSpec } from './rule.ts';
import type { WindowCounts } from './window.ts';

/** A stretch of event time during which a rule fires for a group: [opened_at, ended_at). Milliseconds. */
export interface Episode {
  /** When the condition began to hold; earlier than opened_at where the rule has a `for`. */
  since: number;
  opened_at: number;
  /** The first instant at which it no longer fired; null while that instant isn't certain. */
  ended_at: number | null;
}

/** Where a group stands once judged. `due`: the instant at which that may change without a further event. */
export type Standing =
  | { state: 'ok' }
  | { state: 'pending'; since: number; due: number }
  | { state: 'firing'; since: number; due: number };

/** What is known of the group just before the judged stretch. */
export interface Start {
  at: number;
  /** The episode that covers `at`, if one does. */
  firing: { since: number; opened_at: number } | null;
}

/** How far may be judged. Opening goes by the clock; ending by the watermark, since silence counts only where we listened. */
export interface Horizon {
  openUpTo: number;
  endUpTo: number;
}

/**
 * Walks event time from `start` and says when the rule fired. A pure function of the events counted: judging the same
 * events twice, or in another order of arrival, gives the same episodes.
 * @throws NeedsTimes where buckets alone don't decide
 */
export function judge(
  counts: WindowCounts,
  spec: WindowSpec,
  start: Start,
  horizon: Horizon,
): { episodes: Episode[]; standing: Standing } {
  const episodes: Episode[] = [];
  let at = start.at;
  let firing = start.firing;
  while (true) {
    if (!firing) {
      const onset = nextOnset(counts, spec, at, horizon.openUpTo);
      if ('state' in onset) return { episodes, standing: onset };
      firing = onset;
      at = onset.opened_at;
    }
    const end = nextEnd(counts, spec, at);
    if (end > horizon.endUpTo) {
      episodes.push({ ...firing, ended_at: null });
      return { episodes, standing: { state: 'firing', since: firing.opened_at, due: end } };
    }
    episodes.push({ ...firing, ended_at: end });
    firing = null;
    at = end;
  }
}

/** The next time the rule starts to fire, or how the group stands if it doesn't by the horizon. */
function nextOnset(
  counts: WindowCounts,
  { threshold, forMs }: WindowSpec,
  from: number,
  openUpTo: number,
): { since: number; opened_at: number } | Standing {
  let at = from;
  while (true) {
    const since = counts.nextAtLeast(at, threshold);
    if (since === null) return { state: 'ok' };
    if (since > openUpTo) return { state: 'pending', since, due: since };
    if (forMs === 0) return { since, opened_at: since };
    const lapse = counts.nextBelow(since, threshold);
    const opened_at = since + forMs;
    if (lapse > opened_at && opened_at <= openUpTo) return { since, opened_at };
    if (lapse > openUpTo) return { state: 'pending', since, due: Math.min(lapse, opened_at) };
    at = lapse;
  }
}

/** The first instant from which the rule, firing at `from`, fires no more. */
function nextEnd(counts: WindowCounts, { recovery, keepFiringMs }: WindowSpec, from: number): number {
  let at = from;
  while (true) {
    const below = counts.nextBelow(at, recovery);
    if (keepFiringMs === 0) return below;
    const again = counts.nextAtLeast(below, recovery);
    if (again === null || again >= below + keepFiringMs) return below + keepFiringMs;
    at = again;
  }
}
