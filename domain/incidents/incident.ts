import type { Episode } from '../rules/episodes.ts';

export const INCIDENT_STATES = ['open', 'acknowledged', 'resolved'] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];

/** Why an incident was resolved. */
export const RESOLVE_REASONS = [
  ...(['recovered', 'manual', 'rule changed', 'rule disabled', 'rule deleted'] as const),
  ...(['merged', 'withdrawn'] as const),
] as const;
export type ResolveReason = (typeof RESOLVE_REASONS)[number];

/** What judging needs of a recorded incident. [opened_at, ended_at) is its episode, in milliseconds. */
export interface IncidentOnRecord {
  id: string;
  since: number;
  opened_at: number;
  /**
   * The computed end of the episode; null while the rule fires. The time at which a person resolved it does
   * not matter.
   */
  ended_at: number | null;
  state: IncidentState;
  resolved_by: string | null;
}

/** A change that makes the recorded incidents match the episodes. */
export type IncidentChange = Growth | Correction;

/** Changes that additional events can cause. */
export type Growth =
  | {
      kind: 'open';
      episode: Episode;
      /** The incident that this episode was part of, as far as was known before. */
      split_from?: string;
    }
  | { kind: 'end'; id: string; ended_at: number }
  | {
      kind: 'extend';
      id: string;
      since: number;
      opened_at: number;
      ended_at: number | null;
      reopen: boolean;
      /** The merged incident. A person resolved it, and that now counts for this one. */
      resolved_as?: string;
    }
  | { kind: 'merge'; id: string; into: string };

/** Changes that take back something recorded. */
export type Correction =
  | { kind: 'shorten'; id: string; since: number; opened_at: number; ended_at: number | null }
  | { kind: 'withdraw'; id: string };

/**
 * Compares recorded incidents with judged episodes. If an episode overlaps one incident, they are the same,
 * and the incident is extended where necessary. If it overlaps several, late events filled the gap: they
 * become one, and the later incidents point at the first. Nothing recorded is taken back. That is right for
 * rules whose firing only grows with events; for others see `correct`.
 */
export function reconcile(onRecord: readonly IncidentOnRecord[], episodes: readonly Episode[]): Growth[] {
  const changes: Growth[] = [];
  let known = [...onRecord].sort((a, b) => a.opened_at - b.opened_at);
  for (const episode of episodes) {
    const [first, ...rest] = known.filter((incident) => overlaps(incident, episode));
    if (!first) {
      changes.push({ kind: 'open', episode });
      continue;
    }
    for (const other of rest) changes.push({ kind: 'merge', id: other.id, into: first.id });
    const opened_at = Math.min(first.opened_at, episode.opened_at);
    const since = Math.min(first.since, episode.since);
    const ended_at = first.ended_at === null ? episode.ended_at : later(first.ended_at, episode.ended_at);
    if (opened_at < first.opened_at || (first.ended_at !== null && ended_at !== first.ended_at)) {
      // If a person resolved an incident, that counts for the whole episode. If several become one, the last
      // one decides, because people acted on it last.
      const last = rest.at(-1) ?? first;
      const muted = last.state === 'resolved' && last.resolved_by !== null;
      const reopen = ended_at === null && first.ended_at !== null && !muted;
      const until = first.ended_at === null ? null : ended_at;
      const change = { kind: 'extend' as const, id: first.id, since, opened_at, ended_at: until, reopen };
      changes.push(muted && last !== first ? { ...change, resolved_as: last.id } : change);
    }
    if (first.ended_at === null && ended_at !== null) changes.push({ kind: 'end', id: first.id, ended_at });
    // The next episode is compared with the incidents after this change.
    known = known.filter((incident) => !rest.includes(incident));
    known[known.indexOf(first)] = { ...first, since, opened_at, ended_at };
  }
  return changes;
}

type Bounds = Pick<Episode, 'opened_at' | 'ended_at'>;

/** The later of two ends. Null means "not ended" and is later than any time. */
function later(a: number, b: number | null): number | null {
  return b === null ? null : Math.max(a, b);
}

export function overlaps(incident: Bounds, episode: Bounds): boolean {
  return (
    incident.opened_at < (episode.ended_at ?? Number.POSITIVE_INFINITY) &&
    episode.opened_at < (incident.ended_at ?? Number.POSITIVE_INFINITY)
  );
}
