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

/**
 * How far may be judged. Opening goes by the clock; ending by the watermark, since silence counts only where
 * we listened.
 */
export interface Horizon {
  openUpTo: number;
  endUpTo: number;
}

/** What judging a group came to. */
export interface Judged<E extends Episode = Episode> {
  episodes: E[];
  standing: Standing;
  /**
   * Episodes before an incident on record whose own end isn't certain yet. They are judged again once it is.
   */
  deferred: Episode[];
}

/** The result of walking over a stretch of event time. */
export interface Stretch {
  /** Episodes whose end is certain. The last one may not have ended. */
  episodes: Episode[];
  deferred: Episode[];
  /** When the first of the deferred episodes ends, as far as is known. */
  firstDue: number | null;
  /** When the episodes of this stretch opened. */
  opened: number[];
  /** Where the group stands; null if the walk must continue from `next` to find out. */
  standing: Standing | null;
  next: Start;
}

/**
 * Walks event time from `start` and says when the rule fired. A pure function of the events counted: judging
 * the same events twice, or in another order of arrival, gives the same episodes.
 *
 * An episode that ends, as far as is known, before an incident on record begins is not that incident. While
 * more events may still close the gap, it is deferred: had it the incident's place, that would be resolved at
 * the gap and opened anew.
 * @param lastOpened when the last incident on record opened; null where there is none
 * @throws NeedsTimes where buckets alone don't decide
 */
export function judge(
  counts: WindowCounts,
  spec: WindowSpec,
  start: Start,
  horizon: Horizon,
  lastOpened: number | null = null,
): Judged {
  const { episodes, deferred, standing, firstDue } = walkStretch(counts, spec, start, horizon, lastOpened);
  return { episodes, deferred, standing: waiting(standing!, deferred, firstDue) };
}

/**
 * As judge, but `counts` has only the events up to `knownUpTo`. Later events cannot change the result.
 * @throws NeedsTimes where buckets alone don't decide
 */
export function walkStretch(
  counts: WindowCounts,
  spec: WindowSpec,
  start: Start,
  horizon: Horizon,
  lastOpened: number | null,
  knownUpTo = Number.POSITIVE_INFINITY,
): Stretch {
  const stretch: Stretch = {
    ...{ episodes: [], deferred: [], firstDue: null, opened: [] },
    ...{ standing: null, next: start },
  };
  const { episodes, deferred, opened } = stretch;
  const openUpTo = Math.min(horizon.openUpTo, knownUpTo);
  let { at, firing } = start;
  while (true) {
    if (!firing) {
      const onset = nextOnset(counts, spec, at, openUpTo);
      if ('state' in onset) {
        if (openUpTo === horizon.openUpTo) return { ...stretch, standing: onset };
        return { ...stretch, next: { at: Math.max(at, knownUpTo - spec.forMs), firing: null } };
      }
      firing = onset;
      at = onset.opened_at;
      opened.push(at);
    }
    const end = nextEnd(counts, spec, at);
    if (end > knownUpTo)
      return { ...stretch, next: { at: Math.max(at, knownUpTo - spec.keepFiringMs), firing } };
    if (end <= horizon.endUpTo) episodes.push({ ...firing, ended_at: end });
    else if (lastOpened !== null && end <= lastOpened) {
      deferred.push({ ...firing, ended_at: null });
      stretch.firstDue ??= end;
    } else {
      episodes.push({ ...firing, ended_at: null });
      return { ...stretch, standing: { state: 'firing', since: firing.opened_at, due: end } };
    }
    firing = null;
    at = end;
  }
}

/**
 * Where a group stands that has deferred episodes, the first of which ends at `due` as far as is known. What
 * is pending comes first: its deadline is of the clock, and judging goes back to what is deferred then, too.
 */
export function waiting(standing: Standing, [first]: readonly Episode[], due: number | null): Standing {
  if (!first || due === null || standing.state === 'pending') return standing;
  const since = standing.state === 'firing' ? standing.since : first.opened_at;
  return { state: 'firing', since, due };
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
