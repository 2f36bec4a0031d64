import type { WindowSpec } from '../../domain/rules/rule.ts';
import type { Episode, Start } from '../../domain/rules/transition.ts';

/** How many times lie in [t − W, t], counted one by one. */
export function countAt(times: readonly number[], spec: WindowSpec, t: number): number {
  return times.filter((time) => time >= t - spec.windowMs && time <= t).length;
}

/**
 * The brute-force model. It steps through every time at which something can change (an event enters or leaves
 * the window, a timer ends), and applies the rule literally. It is slow, and independent of
 * domain/rules/transition.
 */
export function modelEpisodes(
  times: readonly number[],
  spec: WindowSpec,
  start: Start,
  until: { openUpTo: number; endUpTo: number },
): Episode[] {
  const instants = new Set<number>([start.at]);
  for (const time of times) {
    for (const edge of [time, time + spec.windowMs + 1]) {
      for (const shift of [0, spec.forMs, spec.keepFiringMs]) instants.add(edge + shift);
    }
  }
  for (const shift of [spec.forMs, spec.keepFiringMs]) instants.add(start.at + shift);
  const ordered = [...instants].filter((t) => t >= start.at).sort((a, b) => a - b);

  const episodes: Episode[] = [];
  let open: Episode | null = start.firing ? { ...start.firing, ended_at: null } : null;
  let holdingSince: number | null = null;
  let belowSince: number | null = null;
  for (const t of ordered) {
    const count = countAt(times, spec, t);
    if (open) {
      if (count < spec.recovery) {
        belowSince ??= t;
        if (t >= belowSince + spec.keepFiringMs) {
          if (t > until.endUpTo) break;
          episodes.push({ ...open, ended_at: t });
          open = null;
          belowSince = null;
          holdingSince = null;
        }
      } else if (belowSince !== null && t >= belowSince + spec.keepFiringMs) {
        if (t > until.endUpTo) break;
        episodes.push({ ...open, ended_at: t });
        open = null;
        belowSince = null;
        holdingSince = null;
      } else belowSince = null;
    }
    if (!open) {
      if (count >= spec.threshold) {
        holdingSince ??= t;
        if (t >= holdingSince + spec.forMs && t <= until.openUpTo) {
          open = { since: holdingSince, opened_at: t, ended_at: null };
          belowSince = null;
        }
      } else holdingSince = null;
    }
  }
  if (open) episodes.push(open);
  return episodes;
}
