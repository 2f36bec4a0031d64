import type { Episode, Start } from '../../domain/rules/episodes.ts';
import type { WindowSpec } from '../../domain/rules/rule.ts';

/** How many times lie in [t − W, t], counted one by one. */
export function countAt(times: readonly number[], spec: WindowSpec, t: number): number {
  return times.filter((time) => time >= t - spec.windowMs && time <= t).length;
}

/** A rule for one group, in the words of its definition. */
export interface Words {
  forMs: number;
  keepFiringMs: number;
  /** Instants at which either answer may change. */
  instants: readonly number[];
  opens: (t: number) => boolean;
  keeps: (t: number) => boolean;
}

/** The brute-force model of a count rule. */
export function modelEpisodes(
  times: readonly number[],
  spec: WindowSpec,
  start: Start,
  until: { openUpTo: number; endUpTo: number },
): Episode[] {
  const words = {
    ...spec,
    instants: times.flatMap((time) => [time, time + spec.windowMs + 1]),
    opens: (t: number) => countAt(times, spec, t) >= spec.threshold,
    keeps: (t: number) => countAt(times, spec, t) >= spec.recovery,
  };
  return modelOf(words, start, until);
}

/**
 * The brute-force model. It steps through every time at which something can change (an answer or a timer) and
 * applies the rule literally. It is slow, and independent of domain/rules/episodes.ts.
 */
export function modelOf(
  { forMs, keepFiringMs, instants, opens, keeps }: Words,
  start: Start,
  until: { openUpTo: number; endUpTo: number },
): Episode[] {
  const all = new Set<number>([start.at, start.at + forMs, start.at + keepFiringMs]);
  for (const instant of instants) {
    for (const shift of [0, forMs, keepFiringMs]) all.add(instant + shift);
  }
  const ordered = [...all].filter((t) => t >= start.at).sort((a, b) => a - b);

  const episodes: Episode[] = [];
  let open: Episode | null = start.firing ? { ...start.firing, ended_at: null } : null;
  let holdingSince: number | null = null;
  let lapsedSince: number | null = null;
  for (const t of ordered) {
    if (open) {
      const lapsed = !keeps(t);
      if (lapsed) lapsedSince ??= t;
      if (lapsedSince !== null && t >= lapsedSince + keepFiringMs) {
        if (t > until.endUpTo) break;
        episodes.push({ ...open, ended_at: t });
        open = null;
        lapsedSince = null;
        holdingSince = null;
      } else if (!lapsed) lapsedSince = null;
    }
    if (!open) {
      if (opens(t)) {
        holdingSince ??= t;
        if (t >= holdingSince + forMs && t <= until.openUpTo) {
          open = { since: holdingSince, opened_at: t, ended_at: null };
          lapsedSince = null;
        }
      } else holdingSince = null;
    }
  }
  if (open) episodes.push(open);
  return episodes;
}
