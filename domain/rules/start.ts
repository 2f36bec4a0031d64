import type { IncidentOnRecord } from '../incidents/incident.ts';
import type { WindowSpec } from './rule.ts';
import type { Start } from './transition.ts';

/**
 * Where judging must begin so that events from `from` on are judged as if all had been walked from the first.
 */
export interface StartQuestion {
  /** First event time that changed, epoch ms. */
  from: number;
  spec: WindowSpec;
  /**
   * The revision's first instant; null for a rule's first revision, which judges its windows whenever they
   * were. What an earlier revision judged stays as it was judged.
   */
  effectiveAt: number | null;
  /** Incidents of the group that may matter, in any order. */
  incidents: readonly (IncidentOnRecord & { carried: boolean })[];
}

/**
 * The state just before `from` follows from the record: it can't depend on events at or after `from`. Inside
 * an episode, a condition that is below its recovery threshold fell there less than `keep_firing` ago;
 * outside, one that holds began to less than `for` ago. So walking begins that much earlier, at the most.
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
