import type { IncidentOnRecord } from '../incidents/incident.ts';
import type { Start } from './episodes.ts';
import type { WindowSpec } from './rule.ts';

/**
 * The question where judging must begin, so that events from `from` on are judged as if the walk had begun at
 * the first event.
 */
export interface StartQuestion {
  /** The first event time that changed, epoch ms. */
  from: number;
  spec: WindowSpec;
  /**
   * The first instant of the revision. Null for a rule's first revision, which judges windows of any time.
   * What an earlier revision judged stays.
   */
  effectiveAt: number | null;
  /** Incidents of the group that may matter, in any order. */
  incidents: readonly (IncidentOnRecord & { carried: boolean })[];
}

/**
 * Finds the state just before `from` in the recorded incidents; it cannot depend on events at or after
 * `from`. Inside an episode, a count that is below the recovery threshold fell there less than `keep_firing`
 * ago. Outside, a condition that holds began to hold less than `for` ago. So the walk begins earlier by at
 * most that much.
 */
export function startOf({ from, spec, effectiveAt, incidents }: StartQuestion): Start {
  const before = from - 1;
  if (effectiveAt !== null && before < effectiveAt) {
    const carried = incidents.find((incident) => incident.carried && incident.opened_at < effectiveAt);
    return { at: effectiveAt, firing: carried ? episodeOf(carried) : null };
  }
  const floor = effectiveAt ?? Number.NEGATIVE_INFINITY;
  const covering = incidents.find(
    ({ opened_at, ended_at }) => opened_at <= before && (ended_at === null || ended_at > before),
  );
  if (covering) {
    const at = Math.max(covering.opened_at, before - spec.keepFiringMs, floor);
    return { at, firing: episodeOf(covering) };
  }
  let at = Math.max(before - spec.forMs, floor);
  for (const { ended_at } of incidents) {
    if (ended_at !== null && ended_at <= before) at = Math.max(at, ended_at);
  }
  return { at, firing: null };
}

function episodeOf({ since, opened_at }: { since: number; opened_at: number }) {
  return { since, opened_at };
}
