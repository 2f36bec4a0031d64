import assert from 'node:assert/strict';
import {
  givenUp,
  HOLD_AFTER_GAP_MS,
  holdsOf,
  type ListeningProcess,
  LONGEST_HOLD_MS,
  QUIET_AFTER_MS,
  RESENT_WITHIN_MS,
  type RunningProducer,
  spansOfTheAbsent,
} from '../../../domain/rules/watermark.ts';
import { type DeafReason, type DeafSpan, deafnessOf } from '../../../domain/system/deafness.ts';
import { LONGEST_PRODUCER_BACKOFF_MS } from '../../../workflows/retry-policies.ts';

const NOW = 1_700_000_000_000;
const S = 1000;

const listening = (changes: Partial<ListeningProcess> = {}): ListeningProcess => ({
  id: 'some-process',
  role: 'api',
  started_at: NOW - 3_600_000,
  beat_at: NOW - 500,
  oldest_unappended: null,
  ended: false,
  retired: false,
  ...changes,
});

/** How far the watermark is behind the clock, in milliseconds; null if it does not move. */
function lag(
  processes: ListeningProcess[],
  producers: RunningProducer[] = [],
  patience = 0,
  deaf: DeafSpan[] = [],
) {
  const now = NOW;
  const holds = holdsOf({ processes, producers, deaf, patience }, now);
  return holds.length === 0 ? null : now - Math.min(...holds.map(({ at }) => at));
}

const span = (changes: Partial<DeafSpan> = {}): DeafSpan => ({
  ...{ whose: 'process', id: 'some-process', name: 'api', reason: 'gap' },
  ...{ from_at: NOW - 60 * S, to_at: NOW - 5 * S, held_until: NOW + 1 },
  ...changes,
});
const lagWith = (deaf: DeafSpan, patience = 0) => lag([listening()], [], patience, [deaf]);

describe('the watermark', () => {
  it('does not move if nobody receives events', () => {
    assert.equal(lag([]), null);
    assert.equal(lag([], [{ id: 'sensor', appended_through: NOW }]), null);
    assert.equal(lag([listening({ beat_at: NOW - QUIET_AFTER_MS - 1 })]), null);
  });

  it('is where the slowest listener was at its last heartbeat', () => {
    assert.equal(lag([listening()]), 500);
    assert.equal(lag([listening(), listening({ role: 'ingest', beat_at: NOW - 900 })]), 900);
    assert.equal(lag([listening({ beat_at: NOW - QUIET_AFTER_MS })]), QUIET_AFTER_MS);
  });

  it('waits for the oldest event that is accepted and not appended', () => {
    assert.equal(lag([listening({ oldest_unappended: NOW - 40 * S })]), 40 * S);
    assert.equal(lag([listening({ oldest_unappended: NOW + 40 * S })]), 500);
  });

  it('is held by a deaf span until its senders had time to come back, and not longer', () => {
    assert.equal(lagWith(span()), 60 * S);
    assert.equal(lagWith(span({ held_until: NOW })), 500);
    assert.ok(HOLD_AFTER_GAP_MS > LONGEST_PRODUCER_BACKOFF_MS, 'a producer tries again within the hold');
  });

  it('is held longer while there are active alerts that senders repeat only now and then', () => {
    const gap = span({ held_until: NOW - RESENT_WITHIN_MS + 1 });
    assert.equal(lagWith(gap, RESENT_WITHIN_MS), 60 * S);
    assert.equal(lagWith({ ...gap, held_until: NOW - RESENT_WITHIN_MS }, RESENT_WITHIN_MS), 500);
    const gone = listening({ beat_at: NOW - 120 * S });
    const restarted = (ago: number) => listening({ started_at: NOW - ago });
    const hold = HOLD_AFTER_GAP_MS + RESENT_WITHIN_MS;
    assert.equal(lag([gone, restarted(hold - 1)], [], RESENT_WITHIN_MS), 120 * S);
    assert.equal(lag([gone, restarted(hold)], [], RESENT_WITHIN_MS), 500);
    assert.ok(hold > 60 * S, 'Prometheus sends again within the hold');
  });

  it('waits for senders that Tocsin refuses, for as long as that lasts', () => {
    const ours: DeafReason[] = ['buffer_full', 'body_budget', 'disk_full', 'store_unavailable', 'gap'];
    for (const reason of ours) {
      const long = span({ reason, from_at: NOW - 4 * LONGEST_HOLD_MS });
      assert.equal(lagWith(long), 4 * LONGEST_HOLD_MS, reason);
    }
  });

  it('waits up to 15 minutes for senders that are refused because of themselves', () => {
    for (const reason of ['over_rate', 'too_slow', 'failed'] as const) {
      const since = (ms: number) => span({ reason, from_at: NOW - ms });
      assert.equal(lagWith(since(LONGEST_HOLD_MS)), LONGEST_HOLD_MS, reason);
      assert.equal(lagWith(since(LONGEST_HOLD_MS + 1)), 500, reason);
      const listeners = { processes: [], producers: [], deaf: [since(LONGEST_HOLD_MS + 1)], patience: 0 };
      assert.deepEqual(givenUp(listeners, NOW), [{ who: `api (${reason})`, behind: LONGEST_HOLD_MS + 1 }]);
    }
  });

  it('is not held by spans for which a row of its own holds it', () => {
    for (const reason of ['lost', 'stuck', 'dead_letter'] as const)
      assert.equal(lagWith(span({ reason })), 500);
    assert.equal(lagWith(span({ held_until: null })), 500);
  });

  it('waits for a vanished process, because its events may come to another', () => {
    const gone = listening({ beat_at: NOW - 20 * S });
    const other = listening({ role: 'ingest' });
    assert.equal(lag([gone, other]), 20 * S);
    const longGone = { ...gone, beat_at: NOW - 10 * LONGEST_HOLD_MS };
    assert.equal(
      lag([longGone, other]),
      10 * LONGEST_HOLD_MS,
      'nobody took its place: nobody hears its senders',
    );
  });

  it('does not pass events that a vanished process was holding', () => {
    const gone = listening({ beat_at: NOW - 8 * S, oldest_unappended: NOW - 20 * S });
    assert.equal(lag([gone, listening()]), 20 * S);
  });

  it('waits for a replaced process only until its senders found the new one', () => {
    const gone = listening({ beat_at: NOW - 60 * S });
    const replacement = (ago: number) => listening({ started_at: NOW - ago });
    assert.equal(lag([gone, replacement(HOLD_AFTER_GAP_MS - 1)]), 60 * S);
    assert.equal(lag([gone, replacement(HOLD_AFTER_GAP_MS)]), 500);
  });

  it('advances soon if another process was running all the time', () => {
    const until = QUIET_AFTER_MS + HOLD_AFTER_GAP_MS;
    assert.equal(lag([listening({ beat_at: NOW - until + 1 }), listening()]), until - 1);
    assert.equal(lag([listening({ beat_at: NOW - until }), listening()]), 500);
  });

  it('waits for a process that ended in order only until its senders found another one, even if that one vanishes', () => {
    const ended = (ago: number) => listening({ beat_at: NOW - ago, ended: true });
    assert.equal(lag([ended(HOLD_AFTER_GAP_MS - 1), listening()]), HOLD_AFTER_GAP_MS - 1);
    assert.equal(lag([ended(HOLD_AFTER_GAP_MS), listening()]), 500);
    const other = listening({ role: 'ingest' });
    const peer = listening({ beat_at: NOW - 60 * S });
    assert.equal(lag([ended(60 * S + HOLD_AFTER_GAP_MS), peer, other]), 60 * S, 'its peer vanished later');
    const brief = listening({ beat_at: NOW - 60 * S });
    assert.equal(lag([ended(61 * S), brief, other]), 61 * S, 'its peer vanished before they came');
    assert.equal(lag([ended(S)]), null, 'it is not alive');
  });

  it('waits for the last process of a role that ended in order, for as long as somebody sends to it', () => {
    const hours = 7_200_000;
    const ended = (role: string) => listening({ id: 'last', role, beat_at: NOW - hours, ended: true });
    const other = (role: string) => listening({ role });
    assert.equal(lag([ended('api'), other('ingest')]), hours, 'nobody hears who sends to the API');
    const producers = [{ id: 'sensor', appended_through: NOW }];
    assert.equal(lag([ended('ingest'), other('api')], producers), hours, 'nobody hears the producer');
    assert.equal(lag([ended('ingest'), other('api')]), 500, 'no producer runs');
    assert.equal(lag([{ ...ended('ingest'), ended: false }, other('api')]), hours, 'it may have held events');
  });

  it('does not wait for a retired process, nor for those that it had replaced', () => {
    const minutes = (n: number) => n * 60 * S;
    const gone = listening({ id: 'gone', role: 'ingest', beat_at: NOW - minutes(5) });
    const before = listening({ id: 'before', role: 'ingest', beat_at: NOW - minutes(10) });
    const api = listening();
    const holds = (processes: ListeningProcess[]) =>
      holdsOf({ processes, producers: [], deaf: [], patience: 0 }, NOW);
    assert.deepEqual(holds([before, gone, api]), [
      { who: 'api', at: NOW - 500 },
      { who: 'ingest', at: NOW - minutes(5), gone: 'gone' },
    ]);
    assert.equal(lag([before, { ...gone, retired: true }, api]), 500);
    assert.equal(lag([{ ...gone, retired: true }]), null, 'nobody listens');
  });

  it('waits for a producer that is behind, but not for ever for one that is stuck', () => {
    const behind = (ms: number) => [{ id: 'sensor', appended_through: NOW - ms }];
    assert.equal(lag([listening()], behind(30 * S)), 30 * S);
    assert.equal(lag([listening()], behind(-30 * S)), 500);
    assert.equal(lag([listening()], behind(LONGEST_HOLD_MS)), LONGEST_HOLD_MS);
    assert.equal(lag([listening()], behind(LONGEST_HOLD_MS + 1)), 500);
  });

  it('says who holds it', () => {
    const producers = [{ id: 'sensor', appended_through: NOW - 30 * S }];
    const holds = holdsOf({ processes: [listening()], producers, deaf: [span()], patience: 0 }, NOW);
    assert.deepEqual(holds, [
      { who: 'api', at: NOW - 500 },
      { who: 'sensor', at: NOW - 30 * S },
      { who: 'api (gap)', at: NOW - 60 * S },
    ]);
  });

  it('finds no loss if a process ended in order and another one was running', () => {
    const ended = listening({ beat_at: NOW - 2 * S, ended: true });
    const lost = (processes: ListeningProcess[]) =>
      spansOfTheAbsent({ processes, producers: [], deaf: [], patience: 0 }, NOW).length;
    assert.equal(lost([ended, listening()]), 0);
    assert.equal(lost([ended, listening({ role: 'ingest' })]), 1, 'nobody listens to its senders');
  });

  it('makes the spans that those concerned cannot write: of vanished processes and of stuck producers', () => {
    const gone = listening({ id: 'gone', beat_at: NOW - 10 * S, oldest_unappended: NOW - 12 * S });
    const stuck = { id: 'sensor', appended_through: NOW - LONGEST_HOLD_MS - 1 };
    const producers = [stuck, { id: 'well', appended_through: NOW - LONGEST_HOLD_MS }];
    const listeners = { processes: [gone, listening()], producers, deaf: [], patience: 0 };
    assert.deepEqual(spansOfTheAbsent(listeners, NOW), [
      {
        ...{ whose: 'process', id: 'gone', name: 'api', reason: 'lost' },
        ...{ from_at: NOW - 12 * S, to_at: NOW, held_until: null },
      },
      {
        ...{ whose: 'source', id: 'sensor', name: 'sensor', reason: 'stuck' },
        ...{ from_at: stuck.appended_through, to_at: NOW, held_until: null },
      },
    ]);
  });
});

describe('a refused request', () => {
  it('causes a deaf span unless the sender itself was at fault', () => {
    for (const reason of ['buffer_full', 'body_budget', 'disk_full', 'over_rate', 'too_slow', 'failed']) {
      assert.equal(deafnessOf(reason, true), reason);
    }
    assert.equal(deafnessOf('unavailable', true), 'store_unavailable');
    for (const reason of ['unauthorized', 'forbidden', 'malformed', 'invalid', 'too_large', 'not_found']) {
      assert.equal(deafnessOf(reason, true), null);
    }
  });

  it('of an unknown sender causes one only if its reason concerns all senders', () => {
    for (const reason of ['body_budget', 'over_rate', 'too_slow', 'failed']) {
      assert.equal(deafnessOf(reason, false), null);
    }
    assert.equal(deafnessOf('unavailable', false), 'store_unavailable');
    assert.equal(deafnessOf('too_many_keys', false), null);
  });
});
