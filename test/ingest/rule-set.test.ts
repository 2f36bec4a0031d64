import assert from 'node:assert/strict';
import type { RuleDefinition } from '../../domain/rule.ts';
import { compileRule, RuleSet } from '../../ingest/rule-set.ts';
import { tally } from '../../ingest/tally.ts';
import { anEvent, aRule } from '../support/engine.ts';

const NOW = Date.UTC(2026, 4, 4, 12);

const rules = (definitions: Record<string, Partial<RuleDefinition>>) =>
  new RuleSet(
    1,
    Object.entries(definitions).map(([rule_id, definition]) =>
      compileRule({ rule_id, revision: 1, definition: aRule({ definition }).definition }),
    ),
  );

const matching = (set: RuleSet, changes: Parameters<typeof anEvent>[0]) =>
  set.matchAll([anEvent(changes)], NOW).map(({ rule }) => rule.id);

describe('the rules in force', () => {
  it('are asked only about events of their type', () => {
    const set = rules({ tick: {}, tock: { event_type: 'tock' }, any: { event_type: null } });
    assert.deepEqual(matching(set, { occurred_at: NOW }), ['tick', 'any']);
    assert.deepEqual(matching(set, { occurred_at: NOW, event_type: 'tock' }), ['tock', 'any']);
    assert.deepEqual(matching(set, { occurred_at: NOW, event_type: 'constructor' }), ['any']);
  });

  it('filter by severity and matchers, all of which must hold', () => {
    const set = rules({
      high: { severity: 'high' },
      low: { severity: 'low' },
      both: { severity: 'high', match: [{ field: 'payload.n', op: '>', value: 1 }] },
    });
    assert.deepEqual(matching(set, { occurred_at: NOW, payload: { n: 1 } }), ['high']);
    assert.deepEqual(matching(set, { occurred_at: NOW, payload: { n: 2 } }), ['high', 'both']);
  });

  it('count an event up to their allowed lateness, and not a millisecond more', () => {
    const set = rules({ minute: { allowed_lateness_seconds: 60 }, none: { allowed_lateness_seconds: 0 } });
    assert.deepEqual(matching(set, { occurred_at: NOW + 500 }), ['minute', 'none']);
    assert.deepEqual(matching(set, { occurred_at: NOW - 1 }), ['minute']);
    assert.deepEqual(matching(set, { occurred_at: NOW - 60_000 }), ['minute']);
    assert.deepEqual(matching(set, { occurred_at: NOW - 60_001 }), []);
  });
});

describe('the tally of an append', () => {
  const events = [
    anEvent({ occurred_at: NOW - 90_000, payload: { host: 'a' } }),
    anEvent({ occurred_at: NOW - 1500, payload: { host: 'a' } }),
    anEvent({ occurred_at: NOW - 1500, payload: { host: 'b' } }),
    anEvent({ occurred_at: NOW - 1001, payload: { host: 'a' }, severity: 'low' }),
  ];
  const set = rules({ r: { group_by: ['payload.host'] } });
  const sums = tally(events, set.matchAll(events, NOW));

  it('has a count for each bucket of each group', () => {
    const counts = sums.counts.map(({ g, b, n }) => [g, b - NOW, n]);
    assert.deepEqual(counts, [
      ['["a"]', -90_000, 1],
      ['["a"]', -2000, 2],
      ['["b"]', -2000, 1],
    ]);
  });

  it('keeps what came late apart from what came in time, each with its span', () => {
    assert.deepEqual(
      sums.touched.map(({ g, l, f, t }) => [g, l, f - NOW, t - NOW]),
      [
        ['["a"]', true, -90_000, -90_000],
        ['["a"]', false, -1500, -1001],
        ['["b"]', false, -1500, -1500],
      ],
    );
  });

  it('adds to rollups by minute, severity and type', () => {
    assert.deepEqual(
      sums.rollups.map(({ m, s, t, n }) => [m - NOW, s, t, n]),
      [
        [-120_000, 'high', 'tick', 1],
        [-60_000, 'high', 'tick', 2],
        [-60_000, 'low', 'tick', 1],
      ],
    );
  });
});
