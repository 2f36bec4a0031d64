import type { GroupIncident } from '../../db/queries/incidents/on-record.ts';
import type { LastStanding, Version } from '../../db/queries/rules/judging.ts';
import type { IncidentChange } from '../../domain/incidents/incident.ts';

/**
 * Where a group stands for a revision that has handed over: its row is the successor's by now, and proves
 * nothing of what came before.
 */
export const LEFT_BEHIND: LastStanding = {
  ...{ state: 'ok', since: null, next_due: null, deferred_from: null, deferred_late: null },
  unproven: true,
};

/**
 * What was on record of a group when its revision handed over. What opened later is the successor's; what
 * ended later, or at the hand-over, had not ended before.
 */
export function recordAtHandOver(
  { revision, effective_at, superseded_at }: Version,
  incidents: readonly GroupIncident[],
): GroupIncident[] {
  const until = superseded_at!;
  return incidents
    .filter(({ opened_at }) => opened_at < until)
    .map((incident) => {
      const ended_at = incident.ended_at !== null && incident.ended_at < until ? incident.ended_at : null;
      const carried = incident.opened_at < effective_at && (ended_at === null || ended_at > effective_at);
      return { ...incident, ended_at, revision: carried ? revision : incident.revision };
    });
}

/**
 * Of what is found after the hand-over, only incidents that are missing are recorded. Those on record may be
 * the successor's by now. An episode that was not over at the hand-over ends there.
 */
export function missingIncidents(
  { superseded_at }: Version,
  changes: readonly IncidentChange[],
): IncidentChange[] {
  return changes
    .filter((change) => change.kind === 'open')
    .map(({ kind, episode }) => ({
      kind,
      episode: { ...episode, ended_at: episode.ended_at ?? superseded_at },
    }));
}
