import { incidentId } from './ids.ts';
import type { Growth, IncidentChange, ResolveReason } from './incident.ts';
import {
  end,
  extend,
  type IncidentWords,
  merge,
  type NewIncident,
  open,
  type RecordedIncident,
  shorten,
  type Transition,
  withdraw,
} from './transitions.ts';

type Open = Extract<Growth, { kind: 'open' }>;

/** What judging found about a group, with what is known about its incidents. */
export interface Finding {
  rule: Pick<NewIncident, 'rule_id' | 'rule_name' | 'revision' | 'group_key'>;
  changes: readonly IncidentChange[];
  onRecord: readonly RecordedIncident[];
  /** Incidents that people were notified of. */
  told: ReadonlySet<string>;
  /** The highest episode number of the group so far. */
  lastEpisode: number;
  /** Makes the texts of an incident that opens. */
  describe: (change: Open) => IncidentWords & { late: boolean };
  /** Whether people are notified of incidents whose events came late. */
  announceLate: boolean;
  /** The numbers of an incident that opens at this time. */
  metadataAt: (opened_at: number) => Record<string, number>;
  /** Why an incident ended at this time. It may be one that opens now or a recorded one. */
  reasonAt: (ended_at: number | null, of: 'open' | 'end') => ResolveReason;
  /** Epoch milliseconds. */
  now: number;
}

/** Decides, in order, which transitions make the recorded incidents of a group equal to what was judged. */
export function transitionsOf(finding: Finding): Transition[] {
  const { changes, onRecord, rule, lastEpisode } = finding;
  const known = new Map(onRecord.map((incident) => [incident.id, incident]));
  const opens = changes.filter((change) => change.kind === 'open');
  const places = new Map(
    opens.map((change, i) => {
      const episode = lastEpisode + i + 1;
      return [change, { id: incidentId(rule.rule_id, rule.group_key, episode), episode }];
    }),
  );
  const partsOf = (id: string) =>
    opens.filter(({ split_from }) => split_from === id).map((change) => places.get(change)!.id);
  return changes.map((change) => {
    if (change.kind === 'open') return opened(finding, change, places.get(change)!);
    const before = known.get(change.id)!;
    const transition = amended(finding, before, change, known, partsOf(change.id));
    known.set(change.id, { ...before, ...transition.incident });
    return transition;
  });
}

function opened(
  { rule, told, describe, announceLate, metadataAt, reasonAt, now }: Finding,
  change: Open,
  place: Pick<NewIncident, 'id' | 'episode'>,
): Transition {
  const { episode, split_from } = change;
  const words = describe(change);
  const metadata = metadataAt(episode.opened_at);
  return open({ ...rule, ...place, ...words, metadata, recorded_at: now }, episode, {
    reason: reasonAt(episode.ended_at, 'open'),
    // If people were notified of an incident, they are notified of its parts, which have ids of their own.
    announced: !words.late || announceLate || (split_from !== undefined && told.has(split_from)),
    ...(split_from !== undefined && { split_from }),
  });
}

function amended(
  { told, metadataAt, reasonAt, now }: Finding,
  before: RecordedIncident,
  change: Exclude<IncidentChange, { kind: 'open' }>,
  known: ReadonlyMap<string, RecordedIncident>,
  parts: readonly string[],
): Transition {
  const situation = { told: told.has(change.id), now };
  /** For an incident that opens at another time than was recorded before. */
  const metadata = 'opened_at' in change &&
    change.opened_at !== before.opened_at && { metadata: metadataAt(change.opened_at) };
  switch (change.kind) {
    case 'end': {
      const { ended_at } = change;
      return end(before, { ended_at, reason: reasonAt(ended_at, 'end') }, situation);
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
