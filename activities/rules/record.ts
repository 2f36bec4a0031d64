import type { GroupIncident } from '../../db/queries/incidents/on-record.ts';
import { transitionsOf } from '../../domain/incidents/decide.ts';
import type { IncidentChange } from '../../domain/incidents/incident.ts';
import type { IncidentWords, Transition } from '../../domain/incidents/transitions.ts';
import type { Episode } from '../../domain/rules/episodes.ts';
import { type Described, metadataOf } from './describe.ts';

export interface Recording extends Described {
  changes: readonly IncidentChange[];
  onRecord: readonly GroupIncident[];
  /** Incidents that people were notified of. */
  told: ReadonlySet<string>;
  lastEpisode: number;
  /** How many events were in the window, or how many alerts, when an episode opened; by opened_at. */
  observed: ReadonlyMap<number, number>;
  describe: (episode: Episode) => Promise<IncidentWords>;
  isLate: (since: number) => boolean;
  now: number;
}

/** Makes the texts of incidents that open, and decides which transitions to write for a group. */
export async function decideGroup(recording: Recording): Promise<Transition[]> {
  const { version, words, groupKey, changes, observed, describe, isLate, ...known } = recording;
  const { rule_id, revision, effective_at, superseded_at, handed_over } = version;
  const described = new Map<IncidentChange, IncidentWords & { late: boolean }>();
  for (const change of changes) {
    if (change.kind !== 'open') continue;
    const late = isLate(change.episode.since);
    described.set(change, { ...(await describe(change.episode)), late });
  }
  return transitionsOf({
    ...{ ...known, changes },
    rule: { rule_id, rule_name: words.name, revision, group_key: groupKey },
    describe: (change) => described.get(change)!,
    announceLate: words.late === 'notify',
    metadataAt: (opened_at) => metadataOf(version, observed.get(opened_at) ?? 0),
    reasonAt(ended_at, of) {
      // If an earlier revision's incident does not continue under this revision, it ends when this one came
      // into force.
      const replaced = of === 'end' && revision > 1 && ended_at === effective_at;
      // The revision handed over while this group could not be judged, so nobody decided whether the incident
      // goes on.
      const left = of === 'open' && handed_over && ended_at === superseded_at;
      return replaced || left ? 'rule changed' : 'recovered';
    },
  });
}
