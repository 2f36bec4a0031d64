import { type Series, type Signal, signalOf, type Tests } from './series.ts';

/** The two conditions of a rule for one group. One opens an episode, the other keeps it firing. */
export interface Conditions {
  opens: Signal;
  /** Never stricter than `opens`. */
  keeps: Signal;
}

/** Applies the tests of a rule to the series of one group. */
export function conditionsOf<V>(series: Series<V>, { opens, keeps }: Tests<V>): Conditions {
  return { opens: signalOf(series, opens), keeps: signalOf(series, keeps) };
}

/** The timers of a rule, in milliseconds. */
export interface Timers {
  /** The condition must hold this long before the rule fires. */
  forMs: number;
  /** The rule keeps firing for this long after its condition ended. */
  keepFiringMs: number;
}

/** A time in which a rule fires for a group: [opened_at, ended_at). Milliseconds. */
export interface Episode {
  /** When the condition began to hold. It is earlier than opened_at if the rule has a `for`. */
  since: number;
  opened_at: number;
  /** The first instant at which the rule no longer fired; null while that is not certain. */
  ended_at: number | null;
}

/**
 * The standing of a group after judging. `due`: the instant at which it may change without further events.
 */
export type Standing =
  | { state: 'ok' }
  | { state: 'pending'; since: number; due: number }
  | { state: 'firing'; since: number; due: number };

/** What is known about the group just before the judged time. */
export interface Start {
  at: number;
  /** The episode that covers `at`, if one does. */
  firing: { since: number; opened_at: number } | null;
}

/** Up to when groups may be judged, epoch milliseconds. `finality.ts` computes it. */
export interface Horizon {
  openUpTo: number;
  endUpTo: number;
}

/** The result of judging a group. */
export interface Judged<E extends Episode = Episode> {
  episodes: E[];
  standing: Standing;
  /**
   * Episodes before a recorded incident whose own end is not certain yet. They are judged again once it is.
   */
  deferred: Episode[];
}

/** The result of walking over a part of event time. */
export interface Stretch {
  /** Episodes whose end is certain. The last one may not have ended. */
  episodes: Episode[];
  deferred: Episode[];
  /** When the first deferred episode ends, as far as is known. */
  firstDue: number | null;
  /** When the episodes of this stretch opened. */
  opened: number[];
  /** The standing of the group; null if the walk must continue from `next` to find out. */
  standing: Standing | null;
  next: Start;
}

/**
 * Walks event time from `start` and finds when the rule fired. It is a pure function of the counted events:
 * judging the same events twice, or in another order of arrival, gives the same episodes.
 *
 * An episode that seems to end before a recorded incident begins is not that incident. While more events may
 * still close the gap, the episode is deferred. If it took the incident's place, the incident would be
 * resolved at the gap and opened again.
 * @param lastOpened when the latest recorded incident opened; null if there is none
 * @throws NeedsTimes if the counts of buckets do not decide
 */
export function judge(
  conditions: Conditions,
  timers: Timers,
  start: Start,
  horizon: Horizon,
  lastOpened: number | null = null,
): Judged {
  const { episodes, deferred, standing, firstDue } = walkStretch(
    conditions,
    timers,
    start,
    horizon,
    lastOpened,
  );
  return { episodes, deferred, standing: waiting(standing!, deferred, firstDue) };
}

/**
 * Like `judge`, but the conditions know only the events up to `knownUpTo`. Later events cannot change the
 * result.
 * @throws NeedsTimes if the counts of buckets do not decide
 */
export function walkStretch(
  { opens, keeps }: Conditions,
  { forMs, keepFiringMs }: Timers,
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
      const onset = nextOnset(opens, forMs, at, openUpTo);
      if ('state' in onset) {
        if (openUpTo === horizon.openUpTo) return { ...stretch, standing: onset };
        return { ...stretch, next: { at: Math.max(at, knownUpTo - forMs), firing: null } };
      }
      firing = onset;
      at = onset.opened_at;
      opened.push(at);
    }
    const end = nextEnd(keeps, keepFiringMs, at);
    if (end > knownUpTo) return { ...stretch, next: { at: Math.max(at, knownUpTo - keepFiringMs), firing } };
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
 * The standing of a group with deferred episodes, the first of which ends at `due` as far as is known.
 * `pending` takes precedence: its deadline comes by the clock, and judging then goes back to the deferred
 * episodes too.
 */
export function waiting(standing: Standing, [first]: readonly Episode[], due: number | null): Standing {
  if (!first || due === null || standing.state === 'pending') return standing;
  const since = standing.state === 'firing' ? standing.since : first.opened_at;
  return { state: 'firing', since, due };
}

/**
 * Finds the next time at which the rule starts to fire, or the standing of the group if it does not fire
 * before the horizon.
 */
function nextOnset(
  opens: Signal,
  forMs: number,
  from: number,
  openUpTo: number,
): { since: number; opened_at: number } | Standing {
  let at = from;
  while (true) {
    const since = opens.nextTrue(at);
    if (since === null) return { state: 'ok' };
    if (since > openUpTo) return { state: 'pending', since, due: since };
    if (forMs === 0) return { since, opened_at: since };
    const lapse = opens.nextFalse(since) ?? Number.POSITIVE_INFINITY;
    const opened_at = since + forMs;
    if (lapse > opened_at && opened_at <= openUpTo) return { since, opened_at };
    if (lapse > openUpTo) return { state: 'pending', since, due: Math.min(lapse, opened_at) };
    at = lapse;
  }
}

/**
 * Finds the first instant at which the rule, firing at `from`, no longer fires. It is infinite if no known
 * event ends it.
 */
function nextEnd(keeps: Signal, keepFiringMs: number, from: number): number {
  let at = from;
  while (true) {
    const lapse = keeps.nextFalse(at) ?? Number.POSITIVE_INFINITY;
    if (keepFiringMs === 0 || lapse === Number.POSITIVE_INFINITY) return lapse;
    const again = keeps.nextTrue(lapse);
    if (again === null || again >= lapse + keepFiringMs) return lapse + keepFiringMs;
    at = again;
  }
}
