import { type Episode, type Horizon, type Judged, type Standing, waiting } from '../rules/episodes.ts';
import type { KnownAlert } from './alert.ts';

/** An episode and the alerts in it: one, or several in the overflow group. */
export interface ReceivedEpisode<A> extends Episode {
  alerts: A[];
}

/**
 * Computes when a group of received alerts fired: while any of its alerts did. A resolve counts from the time
 * at which it came. An alert that was merely not sent again ends by the watermark, because silence counts
 * only for times in which Tocsin could hear. An episode that ends before an incident on record is deferred
 * while its end is not certain, as in `judge`.
 * @param alerts episodes of the group's alerts, in any order; those of one alert do not overlap
 * @param effectiveAt the first instant of a later revision, before which others judged; null for the first
 * revision
 * @param lastOpened when the latest incident on record opened; null if there is none
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
  /** The latest end among the alerts of the last episode, certain or not. */
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
    // The last instant of an episode is the one before its end.
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
