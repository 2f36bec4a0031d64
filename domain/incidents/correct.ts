import type { Episode } from '../rules/episodes.ts';
import {
  type Correction,
  type IncidentChange,
  type IncidentOnRecord,
  overlaps,
  reconcile,
} from './incident.ts';

/**
 * Like `reconcile`, but for rules that late events can also make fire less. First, recorded incidents are cut
 * back to what was judged: an incident without an episode is withdrawn, and one that is longer than its
 * episode is shortened. What remains lies within episodes and can only grow, which is the work of
 * `reconcile`.
 *
 * If an incident became several episodes, it normally stays the first of them. If it has not ended, it stays
 * the last one, because people are working on it. The others become new incidents, split from it.
 * @param onRecord incidents whose whole time was judged again, without merged and withdrawn ones
 * @param episodes all episodes of that time, in order
 */
export function correct(
  onRecord: readonly IncidentOnRecord[],
  episodes: readonly Episode[],
): IncidentChange[] {
  const known = [...onRecord].sort((a, b) => a.opened_at - b.opened_at);
  const episodeOf = assign(known, episodes);
  const corrections: Correction[] = [];
  const left: IncidentOnRecord[] = [];
  for (const incident of known) {
    const episode = episodeOf.get(incident);
    if (episode) {
      const within = cutBack(incident, episode);
      left.push(within);
      if (within.opened_at !== incident.opened_at || within.ended_at !== incident.ended_at) {
        const { id, since, opened_at, ended_at } = within;
        corrections.push({ kind: 'shorten', id, since, opened_at, ended_at });
      }
    } else if (episodes.some((one) => overlaps(incident, one))) left.push(incident);
    else corrections.push({ kind: 'withdraw', id: incident.id });
  }
  const growth = reconcile(left, episodes).map((change) => {
    if (change.kind !== 'open') return change;
    const whole = known.find((incident) => overlaps(incident, change.episode));
    return whole ? { ...change, split_from: whole.id } : change;
  });
  return [...corrections, ...growth];
}

/** Assigns each incident to an episode. An incident without one was merged, or the rule never fired. */
function assign(
  known: readonly IncidentOnRecord[],
  episodes: readonly Episode[],
): Map<IncidentOnRecord, Episode> {
  const episodeOf = new Map<IncidentOnRecord, Episode>();
  for (const [i, episode] of episodes.entries()) {
    const first = known.find((incident) => !episodeOf.has(incident) && overlaps(incident, episode));
    if (!first) continue;
    const next = episodes[i + 1];
    const goesOn = first.ended_at === null && next !== undefined && overlaps(first, next);
    if (!goesOn) episodeOf.set(first, episode);
  }
  return episodeOf;
}

/** Cuts an incident to the part that lies within its episode. */
function cutBack(incident: IncidentOnRecord, episode: Episode): IncidentOnRecord {
  const { ended_at } = incident;
  const later = episode.opened_at > incident.opened_at;
  const sooner = ended_at !== null && episode.ended_at !== null && episode.ended_at < ended_at;
  return {
    ...incident,
    ...(later && { since: episode.since, opened_at: episode.opened_at }),
    ...(sooner && { ended_at: episode.ended_at }),
  };
}
