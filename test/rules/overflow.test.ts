import assert from 'node:assert/strict';
import { transaction } from '../../db/orm.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { ruleProgress } from '../../db/queries/rules/reads.ts';
import { RuleSet } from '../../ingest/append/rule-set.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('a rule with more groups than max_groups', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const RULE = aRule({ definition: { group_by: ['payload.host'], max_groups: 2 } });
  const hosts = (...names: string[]) =>
    names.map((host) => anEvent({ occurred_at: engine.now, payload: { host } }));
  const overflow = async (rule: string) => (await ruleProgress(engine.orm, [rule])).get(rule)?.overflow;
  const keys = async (rule: string) => (await engine.incidents(rule)).map(({ groupKey }) => groupKey);

  it('counts the other groups in one overflow group, with one incident that says so', async () => {
    const { id } = await createRule(engine.orm, RULE, NOON);
    await engine.judge(id);
    await engine.arrive(id, hosts('a', 'b', 'c', 'd', 'e', 'f'));
    const [incident, ...others] = await engine.incidents(id);
    assert.deepEqual(others, []);
    assert.equal(incident?.groupKey, '*');
    assert.deepEqual(incident?.groupLabels, { overflow: 'true' });
    assert.equal(await overflow(id), 4);
    await engine.pass(id, NOON + 60_000);
    const [ended] = await engine.incidents(id);
    assert.equal(ended?.state, 'resolved');
    assert.ok(Math.abs(ended!.endedAt!.getTime() - (NOON + 10_001)) <= 1000, 'good to a bucket');
  });

  it('keeps judging its admitted groups separately', async () => {
    const { id } = await createRule(engine.orm, RULE, NOON);
    await engine.judge(id);
    await engine.arrive(id, hosts('a', 'b', 'c', 'd'));
    assert.deepEqual(await keys(id), []);
    await engine.arrive(id, hosts('b', 'b'));
    assert.deepEqual(await keys(id), ['["b"]']);
  });

  it('never exceeds the limit, however many appends run at once', async () => {
    const { id } = await createRule(engine.orm, RULE, NOON);
    const appends = Array.from({ length: 6 }, () => engine.newAppend());
    await Promise.all(appends.map((append, i) => append.run(hosts(`h${i}`, `h${i}`, `h${i + 1}`))));
    engine.restart();
    await engine.append(hosts('h0', 'new'));
    const { length } = await engine.orm.em
      .fork()
      .execute(`select from rule_groups where rule_id = '${id}' and group_key <> '*'`);
    assert.equal(length, 2);
    const [sum] = await engine.orm.em
      .fork()
      .execute<{ n: number }[]>(`select sum(n)::int as n from window_counts where group_key = '*'`);
    assert.equal(await overflow(id), sum?.n);
    assert.equal(await engine.counted(id, 1), 20);
  });

  it('never exceeds the limit in a backfill', async () => {
    await engine.append(hosts('a', 'b', 'c', 'd', 'e'));
    const { id } = await createRule(engine.orm, RULE, NOON);
    await engine.judge(id);
    assert.deepEqual(await keys(id), ['*']);
    assert.equal(await engine.counted(id, 1), 5);
    assert.equal(await overflow(id), 3);
  });

  it('never treats the only group of a rule without group_by as an overflow group', async () => {
    const { id } = await createRule(engine.orm, aRule({ definition: { max_groups: 1 } }), NOON);
    await engine.judge(id);
    await engine.arrive(id, hosts('a', 'b', 'c'));
    assert.deepEqual(await keys(id), ['']);
  });

  it('sends no query and stores nothing per event once it is full', async () => {
    const { id } = await createRule(engine.orm, RULE, NOON);
    await engine.append(hosts('a', 'b', 'c'));
    const many = hosts(...Array.from({ length: 300 }, (_, i) => `new-${i}`), 'a');
    const rules = new RuleSet(0, []);
    const tallies = await transaction(engine.orm, async (db) => {
      await rules.update(db, await engine.ruleSetVersion());
      rules.learn(rules.rule(id)!, [], true);
      await rules.completeFull(db);
      return rules.matchAll(many, NOON);
    });
    assert.deepEqual(tallies.map(({ group, events }) => [group, events]).sort(), [
      ['*', 300],
      ['["a"]', 1],
    ]);
    let admits = false;
    await engine.append(hosts('d'));
    await engine.append(hosts('e'), async () => {
      admits = await engine.admits(id);
    });
    assert.ok(admits, 'it held the lock that admits groups');
    assert.equal(await overflow(id), 3);
    // A higher limit takes effect at once.
    const { definition } = aRule({ definition: { group_by: ['payload.host'], max_groups: 6 } });
    await engine.edit(id, { definition });
    await engine.judge(id);
    await engine.arrive(id, hosts('f', 'f', 'f'));
    assert.deepEqual(await keys(id), ['["f"]']);
  });

  it('has room for other groups at once when its group_by changes', async () => {
    const { id } = await createRule(engine.orm, RULE, NOON);
    await engine.judge(id);
    await engine.arrive(id, hosts('a', 'b', 'a', 'a'));
    assert.deepEqual(await keys(id), ['["a"]']);
    engine.now += 1000;
    const { definition } = aRule({ definition: { group_by: ['payload.zone'], max_groups: 2 } });
    await engine.edit(id, { definition });
    const zones = (...names: string[]) =>
      names.map((zone) => anEvent({ occurred_at: engine.now, payload: { zone } }));
    await engine.append(zones('x', 'x', 'x', 'y', 'y', 'y'));
    await engine.settle(id);
    // The earlier events have no zone: they are a third group, which is not admitted. Of the old groups only
    // the one whose incident was ended is left.
    assert.deepEqual((await keys(id)).sort(), ['*', '["a"]', '["x"]', '["y"]']);
    assert.equal(await engine.rows('rule_groups', id), 4);
  });

  it('has room for another group of a changed rule once an earlier one was removed', async () => {
    const { id } = await createRule(engine.orm, RULE, NOON);
    await engine.judge(id);
    await engine.arrive(id, hosts('a', 'b'));
    engine.now += 1000;
    const { definition } = aRule({ definition: { group_by: ['source_id'], max_groups: 2 } });
    await engine.edit(id, { definition });
    await engine.settle(id);
    await engine.arrive(id, hosts('a', 'b', 'c'));
    assert.deepEqual(await keys(id), ['["source"]']);
  });
});
