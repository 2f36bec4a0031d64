import assert from 'node:assert/strict';
import { type IncidentOnRecord, reconcile } from '../../../domain/incidents/incident.ts';
import type { Episode } from '../../../domain/rules/episodes.ts';

const episode = (opened_at: number, ended_at: number | null, since = opened_at): Episode => ({
  since,
  opened_at,
  ended_at,
});

const incident = (
  id: string,
  opened_at: number,
  ended_at: number | null,
  changes: Partial<IncidentOnRecord> = {},
): IncidentOnRecord => ({
  id,
  since: opened_at,
  opened_at,
  ended_at,
  state: ended_at === null ? 'open' : 'resolved',
  resolved_by: null,
  ...changes,
});

describe('recorded incidents and judged episodes', () => {
  it('need no change if they agree', () => {
    assert.deepEqual(
      reconcile([incident('a', 10, 20), incident('b', 30, null)], [episode(10, 20), episode(30, null)]),
      [],
    );
    assert.deepEqual(reconcile([], []), []);
  });

  it('open an incident for each episode that overlaps none', () => {
    const [one, two] = [episode(10, 20, 5), episode(30, null)];
    assert.deepEqual(reconcile([], [one, two]), [
      { kind: 'open', episode: one },
      { kind: 'open', episode: two },
    ]);
  });

  it('that only touch are separate: the instant of an end does not belong to the episode', () => {
    const next = episode(20, 30);
    assert.deepEqual(reconcile([incident('a', 10, 20)], [next]), [{ kind: 'open', episode: next }]);
    const before = episode(5, 10);
    assert.deepEqual(reconcile([incident('a', 10, 20)], [before]), [{ kind: 'open', episode: before }]);
  });

  it('end an open incident', () => {
    assert.deepEqual(reconcile([incident('a', 10, null)], [episode(10, 25)]), [
      { kind: 'end', id: 'a', ended_at: 25 },
    ]);
  });

  it('extend an incident backwards if it began earlier than was known', () => {
    assert.deepEqual(reconcile([incident('a', 10, null)], [episode(4, null, 2)]), [
      { kind: 'extend', id: 'a', since: 2, opened_at: 4, ended_at: null, reopen: false },
    ]);
    assert.deepEqual(reconcile([incident('a', 10, null)], [episode(4, 25)]), [
      { kind: 'extend', id: 'a', since: 4, opened_at: 4, ended_at: null, reopen: false },
      { kind: 'end', id: 'a', ended_at: 25 },
    ]);
  });

  it('extend a resolved incident to its later end, without reopening it', () => {
    assert.deepEqual(reconcile([incident('a', 10, 20)], [episode(10, 27)]), [
      { kind: 'extend', id: 'a', since: 10, opened_at: 10, ended_at: 27, reopen: false },
    ]);
  });

  it('reopen a resolved incident that turns out not to be over', () => {
    assert.deepEqual(reconcile([incident('a', 10, 20)], [episode(10, null)]), [
      { kind: 'extend', id: 'a', since: 10, opened_at: 10, ended_at: null, reopen: true },
    ]);
  });

  it('leave an incident closed that a person resolved, while its episode continues', () => {
    const resolved = { state: 'resolved', resolved_by: 'ada' } as const;
    assert.deepEqual(reconcile([incident('a', 10, null, resolved)], [episode(10, null)]), []);
    assert.deepEqual(reconcile([incident('a', 10, null, resolved)], [episode(10, 20)]), [
      { kind: 'end', id: 'a', ended_at: 20 },
    ]);
    assert.deepEqual(reconcile([incident('a', 10, 20, resolved)], [episode(10, null)]), [
      { kind: 'extend', id: 'a', since: 10, opened_at: 10, ended_at: null, reopen: false },
    ]);
    const next = episode(30, null);
    assert.deepEqual(reconcile([incident('a', 10, 20, resolved)], [next]), [{ kind: 'open', episode: next }]);
  });

  it('merge two incidents whose gap late events filled; the later one points at the first', () => {
    assert.deepEqual(reconcile([incident('b', 30, null), incident('a', 10, 20)], [episode(10, null)]), [
      { kind: 'merge', id: 'b', into: 'a' },
      { kind: 'extend', id: 'a', since: 10, opened_at: 10, ended_at: null, reopen: true },
    ]);
    assert.deepEqual(reconcile([incident('a', 10, 20), incident('b', 30, 40)], [episode(10, 40)]), [
      { kind: 'merge', id: 'b', into: 'a' },
      { kind: 'extend', id: 'a', since: 10, opened_at: 10, ended_at: 40, reopen: false },
    ]);
  });

  it('never take anything back: incidents outside of the judged time stay', () => {
    assert.deepEqual(reconcile([incident('a', 10, 20)], []), []);
    assert.deepEqual(reconcile([incident('a', 10, 20)], [episode(12, 18)]), []);
  });

  describe('that late events make one of two', () => {
    const late = [episode(10, null)];
    const extended = (changes: Partial<IncidentOnRecord>, first: Partial<IncidentOnRecord> = {}) =>
      reconcile([incident('a', 10, 20, first), incident('b', 30, null, changes)], late).find(
        ({ kind }) => kind === 'extend',
      );
    const by = { state: 'resolved', resolved_by: 'ann' } as const;

    it('the merged incident stays resolved if a person resolved the later one while its rule was still firing', () => {
      assert.deepEqual(extended(by), {
        ...{ kind: 'extend', id: 'a', since: 10, opened_at: 10, ended_at: null },
        ...{ reopen: false, resolved_as: 'b' },
      });
    });

    it('continue if the second one is open, even if a person resolved the first', () => {
      const goesOn = { kind: 'extend', id: 'a', since: 10, opened_at: 10, ended_at: null, reopen: true };
      assert.deepEqual(extended({}), goesOn);
      assert.deepEqual(extended({}, by), goesOn);
    });

    it('stay resolved if a person resolved the second one after it had ended', () => {
      const [, change] = reconcile([incident('a', 10, 20), incident('b', 30, 40, by)], late);
      assert.equal(change?.kind === 'extend' && change.reopen, false);
    });
  });
});
