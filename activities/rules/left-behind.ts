import type { GroupIncident } from '../../db/queries/incidents/on-record.ts';
import type { LastStanding, Version } from '../../db/queries/rules/judging.ts';
import type { IncidentChange } from '../../domain/incidents/incident.ts';

/**
 * The standing of a group for a revision that has handed over. Its row already belongs to the successor, so
 * it proves nothing.
 */
export const LEFT_BEHIND: LastStanding = {
  ...{ state: 'ok', since: null, next_due: null, deferred_from: null, deferred_late: null },
  unproven: true,
};

/**
 * The incidents of a group as they were when its revision handed over. Incidents that opened later belong to
 * the successor. Ends at or after the hand-over count as not ended.
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
 * Selects what is recorded after the hand-over: only missing incidents, because existing ones may belong to
 * the successor by now. An episode that was not over at the hand-over ends there.
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
