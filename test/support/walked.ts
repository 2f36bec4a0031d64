import { type IncidentOnRecord, reconcile } from '../../domain/incidents/incident.ts';
import type { Horizon, Judged } from '../../domain/rules/episodes.ts';
import type { WindowSpec } from '../../domain/rules/rule.ts';
import { type Change, Walk } from '../../domain/rules/walk.ts';
import { bucketOf, NeedsTimes, WindowCounts } from '../../domain/rules/window.ts';
import { countTests } from './count-conditions.ts';

/**
 * The recorded incidents of a group, maintained like the judge does: each judging walks along the changes
 * since the last one.
 */
export class WalkedGroup {
  readonly #spec: WindowSpec;
  readonly times: number[] = [];
  incidents: IncidentOnRecord[] = [];
  last: Pick<Judged, 'standing' | 'deferred'> = { standing: { state: 'ok' }, deferred: [] };
  #next = 0;
  /** How many non-empty buckets were read in total. */
  read = 0;

  constructor(spec: WindowSpec) {
    this.#spec = spec;
  }

  /** Judges after events came at `times`; each of them is a separate change. */
  judge(times: readonly number[], horizon: Horizon): void {
    this.times.push(...times);
    this.times.sort((a, b) => a - b);
    const changes: Change[] = times.map((at) => ({ from: at, to: at }));
    const { standing, deferred } = this.last;
    const to = Number.POSITIVE_INFINITY;
    if (standing.state !== 'ok') {
      const from = standing.state === 'pending' ? Math.min(standing.since, standing.due) : standing.due;
      changes.push({ from, to });
    }
    if (deferred[0]) changes.push({ from: deferred[0].since, to });
    if (changes.length === 0) return;
    const walk = new Walk({
      ...{ spec: this.#spec, tests: countTests(this.#spec), changes, effectiveAt: null, horizon },
      incidents: this.incidents.map((incident) => ({ ...incident, carried: false })),
    });
    while (!walk.judged) this.#takePage(walk);
    this.last = walk.judged;
    this.#record(walk.judged.episodes);
  }

  #takePage(walk: Walk): void {
    const { from, to } = walk.page;
    const counts = new Map<number, number>();
    const exact = new Map<number, number[]>();
    for (const time of this.times) {
      const bucket = bucketOf(time, this.#spec.bucketMs);
      if (bucket < from || bucket >= to) continue;
      counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
      exact.set(bucket, [...(exact.get(bucket) ?? []), time]);
    }
    this.read += counts.size;
    const times = new Map<number, number[]>();
    while (true) {
      try {
        walk.take(new WindowCounts(this.#spec, counts, times));
        return;
      } catch (error) {
        if (!(error instanceof NeedsTimes)) throw error;
        for (const bucket of error.buckets) times.set(bucket, exact.get(bucket)!);
      }
    }
  }

  #record(episodes: Judged['episodes']): void {
    const known = new Map(this.incidents.map((incident) => [incident.id, { ...incident }]));
    for (const change of reconcile(this.incidents, episodes)) {
      if (change.kind === 'open') {
        const id = String(this.#next++);
        known.set(id, { ...change.episode, id, state: 'open', resolved_by: null });
      } else if (change.kind === 'merge') known.delete(change.id);
      else if (change.kind === 'end') known.get(change.id)!.ended_at = change.ended_at;
      else {
        const { since, opened_at, ended_at } = change;
        Object.assign(known.get(change.id)!, { since, opened_at, ended_at });
      }
    }
    this.incidents = [...known.values()].sort((a, b) => a.opened_at - b.opened_at);
  }
}
