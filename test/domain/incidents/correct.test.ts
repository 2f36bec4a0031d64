import assert from 'node:assert/strict';
import { correct } from '../../../domain/incidents/correct.ts';
import type { IncidentOnRecord } from '../../../domain/incidents/incident.ts';
import type { Episode } from '../../../domain/rules/episodes.ts';

const episode = (opened_at: number, ended_at: number | null): Episode => ({
  ...{ since: opened_at, opened_at, ended_at },
});

const incident = (id: string, opened_at: number, ended_at: number | null): IncidentOnRecord => ({
  ...{ id, ...episode(opened_at, ended_at), resolved_by: null },
  state: ended_at === null ? 'open' : 'resolved',
});

const shorten = (id: string, opened_at: number, ended_at: number | null) => ({
  ...{ kind: 'shorten' as const, id, ...episode(opened_at, ended_at) },
});

describe('incidents that late events disproved', () => {
  it('are withdrawn if no episode is left, open or not', () => {
    assert.deepEqual(correct([incident('a', 10, 20), incident('b', 30, null)], []), [
      { kind: 'withdraw', id: 'a' },
      { kind: 'withdraw', id: 'b' },
    ]);
  });

  it('are shortened to their episode, at both ends', () => {
    assert.deepEqual(correct([incident('a', 10, 20)], [episode(12, 18)]), [shorten('a', 12, 18)]);
  });

  it('are shortened at one end and extended at the other if their episode moved', () => {
    assert.deepEqual(correct([incident('a', 10, 20)], [episode(5, 15)]), [
      shorten('a', 10, 15),
      { kind: 'extend', id: 'a', since: 5, opened_at: 5, ended_at: 15, reopen: false },
    ]);
  });

  it('an open incident whose beginning stays the same simply ends, without a correction', () => {
    assert.deepEqual(correct([incident('a', 10, null)], [episode(10, 15)]), [
      { kind: 'end', id: 'a', ended_at: 15 },
    ]);
  });

  it('keep the first of several episodes if they had ended; each other episode becomes a new incident', () => {
    const [first, second] = [episode(10, 13), episode(15, null)];
    assert.deepEqual(correct([incident('a', 10, 20)], [first, second]), [
      shorten('a', 10, 13),
      { kind: 'open', episode: second, split_from: 'a' },
    ]);
  });

  it('stay the part that continues if they are open, because people work on it', () => {
    const [first, second] = [episode(10, 13), episode(15, null)];
    assert.deepEqual(correct([incident('a', 10, null)], [first, second]), [
      shorten('a', 15, null),
      { kind: 'open', episode: first, split_from: 'a' },
    ]);
  });

  it('are merged if two lie in one episode', () => {
    assert.deepEqual(correct([incident('a', 10, 12), incident('b', 14, 20)], [episode(10, 18)]), [
      { kind: 'merge', id: 'b', into: 'a' },
      { kind: 'extend', id: 'a', since: 10, opened_at: 10, ended_at: 18, reopen: false },
    ]);
  });

  it('are matched with separate episodes if the gap between two moved', () => {
    assert.deepEqual(
      correct([incident('a', 10, 15), incident('b', 20, null)], [episode(10, 12), episode(14, null)]),
      [
        shorten('a', 10, 12),
        { kind: 'extend', id: 'b', since: 14, opened_at: 14, ended_at: null, reopen: false },
      ],
    );
  });
});
