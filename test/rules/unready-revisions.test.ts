import assert from 'node:assert/strict';
import { createRule, deleteRule, type RuleInput } from '../../db/queries/rules/changes.ts';
import { anEvent, aRule, Crash, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const WINDOW = 10_000;

const byHost = aRule({ definition: { group_by: ['payload.host'] } });
const ungrouped = aRule();
const bySource = aRule({ definition: { group_by: ['source_id'] } });

/**
 * A revision that is replaced before its backfill is done was never in force: nothing is handed over to it.
 */
describe('an incident that is open when revisions are replaced before they are ready', () => {
  let engine: Engine;
  let rule: string;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
    ({ id: rule } = await createRule(engine.orm, byHost, NOON));
    await engine.arrive(rule, ticks(3));
  });
  afterEach(() => engine.stop());

  const ticks = (n: number) =>
    Array.from({ length: n }, () => anEvent({ occurred_at: engine.now, payload: { host: 'a' } }));
  /** Edits the rule a second later. */
  const edit = (changes: Partial<RuleInput>) => {
    engine.now += 1000;
    return engine.edit(rule, changes);
  };
  /** Group, state, reason, end and notices of every incident. */
  const told = async () =>
    Promise.all(
      (await engine.incidents(rule)).map(async (incident) => [
        incident.groupKey,
        incident.resolveReason,
        incident.endedAt && incident.endedAt.getTime() - NOON,
        await engine.notices(incident.id),
      ]),
    );
  const goesOn = [['["a"]', null, null, ['opened']]];
  const recovers = [['["a"]', 'recovered', WINDOW + 1, ['opened', 'resolved']]];

  for (const judged of ['before and after each edit', 'only after the last edit']) {
    const between = async () => {
      if (judged === 'only after the last edit') return;
      const { backfill } = await engine.evaluate(rule);
      assert.ok(backfill, 'the revision is still to be counted');
    };

    describe(`while the rule is judged ${judged}`, () => {
      it('continues if the groups are changed and changed back', async () => {
        await edit({ definition: ungrouped.definition });
        await between();
        assert.deepEqual(await told(), goesOn);
        const open = await edit({ definition: byHost.definition });
        assert.deepEqual(open, {
          count: 1,
          outcome: 'go on if the new revision still fires for their group',
        });
        await engine.judge(rule);
        assert.deepEqual(await told(), goesOn);
        const [incident] = await engine.incidents(rule);
        assert.equal(incident?.revision, 3);
        await engine.pass(rule, NOON + 60_000);
        assert.deepEqual(await told(), recovers);
      });

      it('continues if several revisions come in between', async () => {
        for (const { definition } of [ungrouped, bySource, ungrouped]) {
          await edit({ definition });
          await between();
        }
        await edit({ definition: byHost.definition });
        await engine.judge(rule);
        assert.deepEqual(await told(), goesOn);
        await engine.pass(rule, NOON + 60_000);
        assert.deepEqual(await told(), recovers);
      });

      it('the incident ends at the first edit if the last revision is grouped by other fields', async () => {
        await edit({ definition: ungrouped.definition });
        await between();
        await edit({ definition: bySource.definition });
        await engine.pass(rule, engine.now);
        assert.deepEqual(await told(), [
          ['["a"]', 'rule changed', 1000, ['opened', 'resolved']],
          ['["source"]', null, null, ['opened']],
        ]);
      });

      it('ends if the rule is disabled, even if it is enabled again', async () => {
        await edit({ definition: ungrouped.definition });
        await between();
        await edit({ enabled: false });
        const open = await edit({ enabled: true, definition: byHost.definition });
        assert.deepEqual(open, { count: 1, outcome: 'resolved: rule disabled' });
        await between();
        await engine.pass(rule, engine.now);
        assert.deepEqual(await told(), [
          ['["a"]', 'rule disabled', 2000, ['opened', 'resolved']],
          ['["a"]', null, null, ['opened']],
        ]);
      });

      it('ends if the rule is deleted', async () => {
        await edit({ definition: ungrouped.definition });
        await between();
        engine.now += 1000;
        await deleteRule(engine.orm, rule, engine.now);
        await engine.judge(rule);
        assert.deepEqual(await told(), [['["a"]', 'rule deleted', 2000, ['opened', 'resolved']]]);
        assert.equal(await engine.rows('rule_versions', rule), 0);
      });
    });
  }

  it('ends with a revision that became ready just before it was replaced', async () => {
    await edit({ definition: ungrouped.definition });
    await assert.rejects(
      engine.judgeWith(rule, async () => {
        const { ready } = await engine.version(rule, 2);
        if (ready) throw new Crash('killed before the hand-over');
      }),
      Crash,
    );
    assert.deepEqual(await told(), goesOn);
    const open = await edit({ definition: byHost.definition });
    assert.deepEqual(open, { count: 1, outcome: 'resolved: rule changed' });
    await engine.pass(rule, engine.now);
    assert.deepEqual(await told(), [
      ['["a"]', 'rule changed', 1000, ['opened', 'resolved']],
      ['', 'rule changed', 2000, ['opened', 'resolved']],
      ['["a"]', null, null, ['opened']],
    ]);
  });

  it('continues if a backfill finds at its end that its revision was replaced', async () => {
    await edit({ definition: ungrouped.definition });
    await engine.evaluate(rule);
    const frozen = await engine.version(rule, 2);
    await edit({ definition: byHost.definition });
    await engine.backfill(frozen);
    assert.equal((await engine.version(rule, 2)).ready, false);
    await engine.judge(rule);
    assert.deepEqual(await told(), goesOn);
  });

  it('fires for events that come during the backfill of the next revision', async () => {
    await edit({
      definition: aRule({ threshold: 2, definition: { group_by: ['payload.host'] } }).definition,
    });
    await engine.evaluate(rule);
    engine.now += 5000;
    await engine.arrive(rule, ticks(2));
    assert.deepEqual(await told(), goesOn);
    await engine.pass(rule, NOON + 60_000);
    assert.deepEqual(await told(), [['["a"]', 'recovered', 6000 + WINDOW + 1, ['opened', 'resolved']]]);
  });
});
