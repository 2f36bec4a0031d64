import type { GroupIncident } from '../../db/queries/incidents/on-record.ts';
import { incidentId } from '../../domain/incidents/ids.ts';
import type { IncidentChange, ResolveReason } from '../../domain/incidents/incident.ts';
import {
  end,
  extend,
  merge,
  open,
  type RecordedIncident,
  shorten,
  type Transition,
  withdraw,
} from '../../domain/incidents/transitions.ts';
import type { Episode } from '../../domain/rules/transition.ts';
import { type Described, type Description, metadataOf } from './describe.ts';

export interface Recording extends Described {
  changes: readonly IncidentChange[];
  onRecord: readonly GroupIncident[];
  /** Incidents that people were told of. */
  told: ReadonlySet<string>;
  lastEpisode: number;
  /** Events in the window, or alerts, when an episode opened, by its opened_at. */
  observed: ReadonlyMap<number, number>;
  describe: (episode: Episode) => Promise<Description>;
  isLate: (since: number) => boolean;
  now: number;
}

/** What is to be written so that the record of a group says what was judged. */
export async function transitionsOf(recording: Recording): Promise<Transition[]> {
  const { changes, onRecord, lastEpisode, version, groupKey } = recording;
  const known = new Map<string, RecordedIncident>(onRecord.map((incident) => [incident.id, incident]));
  const opens = changes.filter((change) => change.kind === 'open');
  const ids = new Map(
    opens.map((change, i) => [change, incidentId(version.rule_id, groupKey, lastEpisode + i + 1)]),
  );
  const partsOf = (id: string) =>
    opens.filter(({ split_from }) => split_from === id).map((change) => ids.get(change)!);
  const transitions: Transition[] = [];
  for (const change of changes) {
    if (change.kind === 'open') {
      const episode = lastEpisode + opens.indexOf(change) + 1;
      transitions.push(await openedBy(recording, change, { id: ids.get(change)!, episode }));
      continue;
    }
    const before = known.get(change.id)!;
    const transition = amendedBy(recording, before, change, known, partsOf(change.id));
    known.set(change.id, { ...before, ...transition.incident });
    transitions.push(transition);
  }
  return transitions;
}

async function openedBy(
  { version, words, groupKey, told, observed, describe, isLate, now }: Recording,
  { episode: found, split_from }: Extract<IncidentChange, { kind: 'open' }>,
  place: { id: string; episode: number },
): Promise<Transition> {
  const { groupLabels: group_labels, ...description } = await describe(found);
  const late = isLate(found.since);
  // The revision handed over while this group could not be judged: nobody judged whether it went on.
  const left = version.handed_over && found.ended_at === version.superseded_at;
  const incident = {
    ...{ ...place, rule_id: version.rule_id, group_key: groupKey, revision: version.revision },
    ...{ rule_name: words.name, ...description, group_labels, late, recorded_at: now },
    metadata: metadataOf(version, observed.get(found.opened_at) ?? 0),
  };
  return open(incident, found, {
    reason: left ? 'rule changed' : 'recovered',
    // Whoever was told of an incident is told of its parts, which have ids of their own.
    announced: !late || words.late === 'notify' || (split_from !== undefined && told.has(split_from)),
    ...(split_from !== undefined && { split_from }),
  });
}

function amendedBy(
  { version, told, observed, now }: Recording,
  before: RecordedIncident,
  change: Exclude<IncidentChange, { kind: 'open' }>,
  known: ReadonlyMap<string, RecordedIncident>,
  parts: readonly string[],
): Transition {
  const situation = { told: told.has(change.id), now };
  /** What was in the window where the incident opens, if that is another instant now. */
  const metadata = 'opened_at' in change &&
    change.opened_at !== before.opened_at && {
      metadata: metadataOf(version, observed.get(change.opened_at) ?? 0),
    };
  switch (change.kind) {
    case 'end': {
      const replaced = change.ended_at === version.effective_at && version.revision > 1;
      const reason: ResolveReason = replaced ? 'rule changed' : 'recovered';
      return end(before, { ended_at: change.ended_at, reason }, situation);
    }
    case 'extend': {
      const resolvedAs = change.resolved_as === undefined ? undefined : known.get(change.resolved_as)!;
      return extend(before, change, { ...metadata, ...(resolvedAs && { resolvedAs }) }, situation);
    }
    case 'merge':
      return merge(before, change, situation);
    case 'shorten':
      return shorten(before, change, { ...metadata, parts }, situation);
    case 'withdraw':
      return withdraw(before, situation);
  }
}
