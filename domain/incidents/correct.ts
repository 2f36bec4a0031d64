import type { Episode } from '../rules/transition.ts';
import {
  type Correction,
  type IncidentChange,
  type IncidentOnRecord,
  overlaps,
  reconcile,
} from './incident.ts';

/**
 * As `reconcile`, for kinds of rules whose firing late events can also disprove. First what is on record is
 * cut back to what was judged: an incident without an episode is withdrawn, and one that reaches beyond its
 * episode is shortened. What is left lies within its episode, so it only has to grow: that is `reconcile`.
 *
 * An incident that became several episodes stays the first of them; one that has not ended stays the last,
 * because people are at work on what goes on. The others are new incidents, split from it.
 * @param onRecord incidents whose whole stretch was judged again, without those merged or withdrawn
 * @param episodes all episodes of that stretch, in order
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

/** Which episode each incident is of. One without is merged into another, or never was. */
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

/** The part of an incident that lies within its episode. */
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
