import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../../db/orm.ts';
import { createRule, deleteRule } from '../../../db/queries/rules/changes.ts';
import type { RuleDefinition } from '../../../domain/rules/rule.ts';
import { countedRule, RuleSet } from '../../../ingest/append/rule-set.ts';
import { tally } from '../../../ingest/append/tally.ts';
import { anEvent, aRule, Engine } from '../../support/engine.ts';

const NOW = Date.UTC(2026, 4, 4, 12);

const rules = (definitions: Record<string, Partial<RuleDefinition>>) =>
  new RuleSet(
    1,
    Object.entries(definitions).map(([rule_id, definition]) =>
      countedRule({ rule_id, revision: 1, groups_from: 0, definition: aRule({ definition }).definition }),
    ),
  );

const matching = (set: RuleSet, changes: Parameters<typeof anEvent>[0]) =>
  set.matchAll([anEvent(changes)], NOW).map(({ rule }) => rule.id);

describe('the enabled rules', () => {
  it('are compared only with events of their type', () => {
    const set = rules({ tick: {}, tock: { event_type: 'tock' }, any: { event_type: null } });
    assert.deepEqual(matching(set, { occurred_at: NOW }), ['tick', 'any']);
    assert.deepEqual(matching(set, { occurred_at: NOW, event_type: 'tock' }), ['tock', 'any']);
    assert.deepEqual(matching(set, { occurred_at: NOW, event_type: 'constructor' }), ['any']);
  });

  it('filter by severity and matchers, all of which must match', () => {
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

describe('the rules that a process remembers', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOW);
  });
  afterEach(() => engine.stop());

  const create = async (event_type: string) => {
    const input = aRule({ definition: { event_type, group_by: ['payload.host'] } });
    return (await createRule(engine.orm, input, NOW)).id;
  };
  const update = async (set: RuleSet) => set.update(sqlOf(engine.orm), await engine.ruleSetVersion());

  it('are read again if they changed, and only then', async () => {
    const [one, two] = [await create('one'), await create('two')];
    const set = new RuleSet(0, []);
    await update(set);
    const [before, other] = [set.rule(one)!, set.rule(two)!];
    set.learn(other, ['["a"]'], false);
    const { definition } = aRule({ window: 20, definition: { event_type: 'uno' } });
    await engine.edit(one, { definition });
    await update(set);
    assert.equal(set.rule(two), other, 'a rule that did not change was read');
    assert.ok(other.known?.admitted.has('["a"]'), 'its groups are asked for again');
    assert.deepEqual([before.revision, set.rule(one)?.revision], [1, 2]);
    assert.deepEqual(matching(set, { occurred_at: NOW, event_type: 'one' }), []);
    assert.deepEqual(matching(set, { occurred_at: NOW, event_type: 'uno' }), [one]);
    await engine.edit(one, { enabled: false });
    await deleteRule(engine.orm, two, NOW);
    await update(set);
    assert.deepEqual([set.rule(one), set.rule(two)], [undefined, undefined]);
  });

  it('are all read if the record of changes has gaps', async () => {
    const [one, two] = [await create('one'), await create('two')];
    const set = new RuleSet(0, []);
    await update(set);
    await engine.edit(one, { enabled: false });
    await sql`delete from rule_changes`.execute(sqlOf(engine.orm));
    await deleteRule(engine.orm, two, NOW);
    const three = await create('three');
    await update(set);
    assert.deepEqual([set.rule(one), set.rule(two)], [undefined, undefined]);
    assert.ok(set.rule(three));
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
    const counts = sums.counts.map(({ group_key, bucket, n }) => [group_key, bucket - NOW, n]);
    assert.deepEqual(counts, [
      ['["a"]', -90_000, 1],
      ['["a"]', -2000, 2],
      ['["b"]', -2000, 1],
    ]);
  });

  it('separates late events from others, each with their first and last time', () => {
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
      sums.rollups.map(({ minute, severity, event_type, n }) => [minute - NOW, severity, event_type, n]),
      [
        [-120_000, 'high', 'tick', 1],
        [-60_000, 'high', 'tick', 2],
        [-60_000, 'low', 'tick', 1],
      ],
    );
  });
});
