import type { Episode } from '../rules/transition.ts';

export const INCIDENT_STATES = ['open', 'acknowledged', 'resolved'] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];

/** Why an incident was resolved. */
export const RESOLVE_REASONS = [
  ...(['recovered', 'manual', 'rule changed', 'rule disabled', 'rule deleted'] as const),
  ...(['merged', 'withdrawn'] as const),
] as const;
export type ResolveReason = (typeof RESOLVE_REASONS)[number];

/**
 * What judging needs to know of an incident on record: [opened_at, ended_at) is its episode, in milliseconds.
 */
export interface IncidentOnRecord {
  id: string;
  since: number;
  opened_at: number;
  /** The episode's computed end; null while it fires. Not when a person resolved it. */
  ended_at: number | null;
  state: IncidentState;
  resolved_by: string | null;
}

/** What has to change on record so that incidents and episodes are one to one again. */
export type IncidentChange = Growth | Correction;

/** What more events can bring. */
export type Growth =
  | {
      kind: 'open';
      episode: Episode;
      /** The incident that this episode was part of, as far as was known. */
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
      /** The merged incident whose resolve by a person holds for this one from now on. */
      resolved_as?: string;
    }
  | { kind: 'merge'; id: string; into: string };

/** What takes something back that was on record. */
export type Correction =
  | { kind: 'shorten'; id: string; since: number; opened_at: number; ended_at: number | null }
  | { kind: 'withdraw'; id: string };

/**
 * Compares what is on record with what was judged. An episode that overlaps an incident is that incident,
 * extended where it must be; one that overlaps several makes them one (late events filled the gap), and the
 * later ones point at the first. Nothing on record is taken back: that is right for kinds of rules whose
 * firing grows with every event. For others see `correct`.
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
      // A person's resolve holds for the whole episode: it mutes the group until it has been ok once. Of
      // several that become one the last decides: what people did, or were told, about it is the newest.
      const last = rest.at(-1) ?? first;
      const muted = last.state === 'resolved' && last.resolved_by !== null;
      const reopen = ended_at === null && first.ended_at !== null && !muted;
      const until = first.ended_at === null ? null : ended_at;
      const change = { kind: 'extend' as const, id: first.id, since, opened_at, ended_at: until, reopen };
      changes.push(muted && last !== first ? { ...change, resolved_as: last.id } : change);
    }
    if (first.ended_at === null && ended_at !== null) changes.push({ kind: 'end', id: first.id, ended_at });
    // The next episode is compared with what this one made of the record.
    known = known.filter((incident) => !rest.includes(incident));
    known[known.indexOf(first)] = { ...first, since, opened_at, ended_at };
  }
  return changes;
}

type Bounds = Pick<Episode, 'opened_at' | 'ended_at'>;

/** The later of two ends; null, which is not yet, is later than any. */
function later(a: number, b: number | null): number | null {
  return b === null ? null : Math.max(a, b);
}

export function overlaps(incident: Bounds, episode: Bounds): boolean {
  return (
    incident.opened_at < (episode.ended_at ?? Number.POSITIVE_INFINITY) &&
    episode.opened_at < (incident.ended_at ?? Number.POSITIVE_INFINITY)
  );
}
