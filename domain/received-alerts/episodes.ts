import { type Episode, type Horizon, type Judged, type Standing, waiting } from '../rules/transition.ts';
import type { KnownAlert } from './alert.ts';

/** A stretch of firing, and the alerts that it is made of: one, or several in the overflow group. */
export interface ReceivedEpisode<A> extends Episode {
  alerts: A[];
}

/**
 * When a group of received alerts fired: while any of them did. A resolve counts from when it came; an alert
 * that was merely not sent again ends by the watermark, since silence counts only where we listened. What
 * ends before an incident on record begins is deferred while that end isn't certain, as `judge` does.
 * @param alerts episodes of the group's alerts, in any order; those of one alert don't overlap
 * @param effectiveAt a later revision's first instant, before which others judged; null for the first
 * @param lastOpened when the last incident on record opened; null where there is none
 */
export function judgeReceived<A extends Pick<KnownAlert, 'starts_at' | 'ends_at' | 'ends'>>(
  alerts: readonly A[],
  effectiveAt: number | null,
  { openUpTo, endUpTo }: Horizon,
  lastOpened: number | null = null,
): Judged<ReceivedEpisode<A>> {
  const episodes: ReceivedEpisode<A>[] = [];
  const deferred: Episode[] = [];
  let firstDue = Number.POSITIVE_INFINITY;
  let due = Number.NEGATIVE_INFINITY;
  const judged = (standing: Standing) => ({
    ...{ episodes, deferred, standing: waiting(standing, deferred, firstDue) },
  });
  /** The latest end of the last episode's alerts, certain or not. */
  let reach = Number.NEGATIVE_INFINITY;
  for (const alert of [...alerts].sort((a, b) => a.starts_at - b.starts_at)) {
    const { starts_at: since, ends_at, ends } = alert;
    const opened_at = Math.max(since, effectiveAt ?? since);
    if (ends_at <= opened_at) continue;
    let last = episodes.at(-1);
    if (opened_at > openUpTo) {
      if (last?.ended_at === null) break;
      return judged({ state: 'pending', since, due: opened_at });
    }
    if (last?.ended_at === null && lastOpened !== null && reach <= Math.min(opened_at, lastOpened)) {
      deferred.push({ since: last.since, opened_at: last.opened_at, ended_at: null });
      firstDue = Math.min(firstDue, due);
      due = Number.NEGATIVE_INFINITY;
      episodes.pop();
      last = undefined;
    }
    // Its last instant is the one before its end.
    const over = ends_at <= endUpTo || (ends === 'resolved' && ends_at - 1 <= openUpTo);
    if (!over) due = Math.max(due, ends_at);
    const ended_at = over ? ends_at : null;
    if (!last || (last.ended_at !== null && last.ended_at <= opened_at)) {
      episodes.push({ since, opened_at, ended_at, alerts: [alert] });
      reach = ends_at;
      continue;
    }
    reach = Math.max(reach, ends_at);
    last.alerts.push(alert);
    last.ended_at = last.ended_at === null || ended_at === null ? null : Math.max(last.ended_at, ended_at);
  }
  const last = episodes.at(-1);
  if (last === undefined || last.ended_at !== null) return judged({ state: 'ok' });
  return judged({ state: 'firing', since: last.opened_at, due });
}
