import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type IncidentOnRecord, reconcile } from '../../../domain/incidents/incident.ts';
import { type Episode, judge, type Start } from '../../../domain/rules/episodes.ts';
import type { WindowSpec } from '../../../domain/rules/rule.ts';
import { startOf } from '../../../domain/rules/start.ts';
import { bucketOf, WindowCounts } from '../../../domain/rules/window.ts';
import { anyWindowSpec } from '../../support/any-window-spec.ts';
import { countConditions } from '../../support/count-conditions.ts';

const BASE = 1_700_000_000_000;
const HORIZON = { openUpTo: BASE + 60_000, endUpTo: BASE + 60_000 };

/** Walks over all of these events from `start`. */
function walk(times: readonly number[], spec: WindowSpec, start: Start): Episode[] {
  const exact = new Map<number, number[]>();
  for (const time of times.toSorted((a, b) => a - b)) {
    const bucket = bucketOf(time, spec.bucketMs);
    exact.set(bucket, [...(exact.get(bucket) ?? []), time]);
  }
  const conditions = countConditions(new WindowCounts(spec, new Map(), exact), spec);
  return judge(conditions, spec, start, HORIZON).episodes;
}

const whole = (times: readonly number[], spec: WindowSpec) =>
  walk(times, spec, { at: BASE - 100_000, firing: null });

const onRecord = (episodes: readonly Episode[]): IncidentOnRecord[] =>
  episodes.map((episode, i) => ({
    ...episode,
    id: String(i),
    state: episode.ended_at === null ? 'open' : 'resolved',
    resolved_by: null,
  }));

/** The recorded incidents after the changes. */
function applied(record: readonly IncidentOnRecord[], found: readonly Episode[]) {
  let after: Episode[] = [];
  const known = new Map(record.map((incident) => [incident.id, { ...incident }]));
  for (const change of reconcile(record, found)) {
    if (change.kind === 'open') after.push(change.episode);
    else if (change.kind === 'merge') known.delete(change.id);
    else if (change.kind === 'end') known.get(change.id)!.ended_at = change.ended_at;
    else {
      const { since, opened_at, ended_at } = change;
      Object.assign(known.get(change.id)!, { since, opened_at, ended_at });
    }
  }
  after = [...after, ...known.values()];
  return after
    .map(({ since, opened_at, ended_at }) => ({ since, opened_at, ended_at }))
    .sort((a, b) => a.opened_at - b.opened_at);
}

const offset = fc
  .tuple(fc.integer({ min: 0, max: 40 }), fc.constantFrom(-1, 0, 0, 1, 500))
  .map(([s, ms]) => BASE + s * 1000 + ms);

describe('starting a walk from the recorded incidents', () => {
  it('gives the same incidents as walking from the first event on', () => {
    fc.assert(
      fc.property(
        fc.array(offset, { maxLength: 30 }),
        fc.array(offset, { minLength: 1, maxLength: 10 }),
        anyWindowSpec,
        (old, added, s) => {
          const incidents = onRecord(whole(old, s));
          const all = [...old, ...added];
          const from = Math.min(...added);
          const carried = incidents.map((incident) => ({ ...incident, carried: false }));
          const start = startOf({ from, spec: s, effectiveAt: null, incidents: carried });
          assert.deepEqual(applied(incidents, walk(all, s, start)), whole(all, s));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('begins at most keep_firing or for before what changed', () => {
    fc.assert(
      fc.property(fc.array(offset, { maxLength: 30 }), offset, anyWindowSpec, (old, from, s) => {
        const incidents = onRecord(whole(old, s)).map((incident) => ({ ...incident, carried: false }));
        const { at } = startOf({ from, spec: s, effectiveAt: null, incidents });
        assert.ok(at < from && at >= from - 1 - Math.max(s.forMs, s.keepFiringMs));
      }),
    );
  });

  it('begins with the revision, and inside an incident that was carried over to it', () => {
    const s: WindowSpec = {
      windowMs: 1000,
      bucketMs: 1000,
      threshold: 1,
      recovery: 1,
      forMs: 0,
      keepFiringMs: 0,
    };
    const [open] = onRecord([{ since: BASE - 10, opened_at: BASE - 5, ended_at: null }]);
    const ask = (carried: boolean, from: number) =>
      startOf({ from, spec: s, effectiveAt: BASE, incidents: [{ ...open!, carried }] });
    const firing = { since: BASE - 10, opened_at: BASE - 5 };
    assert.deepEqual(ask(true, BASE - 500), { at: BASE, firing });
    assert.deepEqual(ask(true, BASE), { at: BASE, firing });
    assert.deepEqual(ask(false, BASE - 500), { at: BASE, firing: null });
    assert.deepEqual(ask(true, BASE + 500), { at: BASE + 499, firing });
  });
});
