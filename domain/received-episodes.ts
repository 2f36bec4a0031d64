import type { KnownAlert } from './received-alert.ts';
import type { Episode, Horizon, Standing } from './transition.ts';

/** A stretch of firing, and the alerts that it is made of: one, or several in the overflow group. */
export interface ReceivedEpisode<A> extends Episode {
  alerts: A[];
}

/**
 * When a group of received alerts fired: while any of them did. A resolve counts from when it came; an alert that was merely not
 * sent again ends by the watermark, since silence counts only where we listened.
 * @param alerts episodes of the group's alerts, in any order; those of one alert don't overlap
 * @param effectiveAt a later revision's first instant, before which others judged; null for the first
 */
export function judgeReceived<A extends Pick<KnownAlert, 'starts_at' | 'ends_at' | 'ends'>>(
  alerts: readonly A[],
  effectiveAt: number | null,
  { openUpTo, endUpTo }: Horizon,
): { episodes: ReceivedEpisode<A>[]; standing: Standing } {
  const episodes: ReceivedEpisode<A>[] = [];
  let due = Number.NEGATIVE_INFINITY;
  for (const alert of [...alerts].sort((a, b) => a.starts_at - b.starts_at)) {
    const { starts_at: since, ends_at, ends } = alert;
    const opened_at = Math.max(since, effectiveAt ?? since);
    if (ends_at <= opened_at) continue;
    const last = episodes.at(-1);
    if (opened_at > openUpTo) {
      if (last?.ended_at === null) break;
      return { episodes, standing: { state: 'pending', since, due: opened_at } };
    }
    // Its last instant is the one before its end.
    const over = ends_at <= endUpTo || (ends === 'resolved' && ends_at - 1 <= openUpTo);
    if (!over) due = Math.max(due, ends_at);
    const ended_at = over ? ends_at : null;
    if (!last || (last.ended_at !== null && last.ended_at <= opened_at)) {
      episodes.push({ since, opened_at, ended_at, alerts: [alert] });
      continue;
    }
    last.alerts.push(alert);
    last.ended_at = last.ended_at === null || ended_at === null ? null : Math.max(last.ended_at, ended_at);
  }
  const last = episodes.at(-1);
  if (last === undefined || last.ended_at !== null) return { episodes, standing: { state: 'ok' } };
  return { episodes, standing: { state: 'firing', since: last.opened_at, due } };
}
