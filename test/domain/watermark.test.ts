import assert from 'node:assert/strict';
import {
  HOLD_AFTER_GAP_MS,
  holdsOf,
  type ListeningProcess,
  LONGEST_HOLD_MS,
  QUIET_AFTER_MS,
  RESENT_WITHIN_MS,
  type RunningProducer,
} from '../../domain/watermark.ts';
import { LONGEST_PRODUCER_BACKOFF_MS } from '../../workflows/policies.ts';

const NOW = 1_700_000_000_000;
const S = 1000;

const listening = (changes: Partial<ListeningProcess> = {}): ListeningProcess => ({
  role: 'api',
  started_at: NOW - 3_600_000,
  beat_at: NOW - 500,
  oldest_unappended: null,
  held_at: null,
  held_until: null,
  ...changes,
});

/** How far behind the clock the watermark is, in milliseconds; null when nobody moves it. */
function lag(processes: ListeningProcess[], producers: RunningProducer[] = [], patience = 0) {
  const now = NOW;
  const holds = holdsOf({ processes, producers, patience }, now);
  return holds.length === 0 ? null : now - Math.min(...holds.map(({ at }) => at));
}

describe('the watermark', () => {
  it('stands still while nobody listens', () => {
    assert.equal(lag([]), null);
    assert.equal(lag([], [{ id: 'sensor', appended_through: NOW }]), null);
    assert.equal(lag([listening({ beat_at: NOW - QUIET_AFTER_MS - 1 })]), null);
  });

  it('is where the slowest listener was at its last beat', () => {
    assert.equal(lag([listening()]), 500);
    assert.equal(lag([listening(), listening({ role: 'ingest', beat_at: NOW - 900 })]), 900);
    assert.equal(lag([listening({ beat_at: NOW - QUIET_AFTER_MS })]), QUIET_AFTER_MS);
  });

  it('waits for the oldest event that is accepted and not appended', () => {
    assert.equal(lag([listening({ oldest_unappended: NOW - 40 * S })]), 40 * S);
    assert.equal(lag([listening({ oldest_unappended: NOW + 40 * S })]), 500);
  });

  it('is held after a gap until senders had time to catch up, and not longer', () => {
    const gap = { held_at: NOW - 60 * S, held_until: NOW + 1 };
    assert.equal(lag([listening(gap)]), 60 * S);
    assert.equal(lag([listening({ ...gap, held_until: NOW })]), 500);
    assert.ok(HOLD_AFTER_GAP_MS > LONGEST_PRODUCER_BACKOFF_MS, 'a producer tries again within the hold');
  });

  it('is held for longer while alerts stand that are sent again only now and then', () => {
    const gap = { held_at: NOW - 60 * S, held_until: NOW - RESENT_WITHIN_MS + 1 };
    assert.equal(lag([listening(gap)], [], RESENT_WITHIN_MS), 60 * S);
    assert.equal(lag([listening({ ...gap, held_until: NOW - RESENT_WITHIN_MS })], [], RESENT_WITHIN_MS), 500);
    const gone = listening({ beat_at: NOW - 120 * S });
    const restarted = (ago: number) => listening({ started_at: NOW - ago });
    const hold = HOLD_AFTER_GAP_MS + RESENT_WITHIN_MS;
    assert.equal(lag([gone, restarted(hold - 1)], [], RESENT_WITHIN_MS), 120 * S);
    assert.equal(lag([gone, restarted(hold)], [], RESENT_WITHIN_MS), 500);
    assert.ok(hold > 60 * S, 'Prometheus sends again within the hold');
  });

  it('waits for a process that vanished, as its events may come to another', () => {
    const gone = listening({ beat_at: NOW - 20 * S });
    const other = listening({ role: 'ingest' });
    assert.equal(lag([gone, other]), 20 * S);
    assert.equal(lag([{ ...gone, beat_at: NOW - LONGEST_HOLD_MS + 1 }, other]), LONGEST_HOLD_MS - 1);
    assert.equal(lag([{ ...gone, beat_at: NOW - LONGEST_HOLD_MS }, other]), 500);
  });

  it('waits for a process that was replaced only until its senders found the new one', () => {
    const gone = listening({ beat_at: NOW - 60 * S });
    const replacement = (ago: number) => listening({ started_at: NOW - ago });
    assert.equal(lag([gone, replacement(HOLD_AFTER_GAP_MS - 1)]), 60 * S);
    assert.equal(lag([gone, replacement(HOLD_AFTER_GAP_MS)]), 500);
  });

  it('goes on soon when a peer was there all along', () => {
    const until = QUIET_AFTER_MS + HOLD_AFTER_GAP_MS;
    assert.equal(lag([listening({ beat_at: NOW - until + 1 }), listening()]), until - 1);
    assert.equal(lag([listening({ beat_at: NOW - until }), listening()]), 500);
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
    const holds = holdsOf({ processes: [listening()], producers, patience: 0 }, NOW);
    assert.deepEqual(holds, [
      { who: 'api', at: NOW - 500 },
      { who: 'sensor', at: NOW - 30 * S },
    ]);
  });
});
