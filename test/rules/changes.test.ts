import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { createRule, deleteRule } from '../../db/queries/rules/changes.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const WINDOW = 10_000;

describe('open incidents of a changed rule', () => {
  let engine: Engine;
  let rule: string;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
    ({ id: rule } = await createRule(engine.orm, aRule(), NOON));
    await engine.arrive(rule, ticks(5));
    engine.now += 1000;
  });
  afterEach(() => engine.stop());

  const ticks = (n: number, changes: object = {}) =>
    Array.from({ length: n }, () => anEvent({ occurred_at: engine.now, ...changes }));
  /** State, reason, end and notices of every incident. */
  const told = async () =>
    Promise.all(
      (await engine.incidents(rule)).map(async (incident) => [
        incident.state,
        incident.resolveReason,
        incident.endedAt && incident.endedAt.getTime() - NOON,
        await engine.notices(incident.id),
      ]),
    );
  const byHost = { group_by: ['payload.host'] };

  it('stay as they are if only its texts change', async () => {
    const open = await engine.edit(rule, { name: 'other', labels: { team: 'a' } });
    assert.deepEqual(open, { count: 1, outcome: 'unchanged' });
    await engine.judge(rule);
    assert.deepEqual(await told(), [['open', null, null, ['opened']]]);
  });

  it('continue, without a notice, if the new threshold still holds', async () => {
    const open = await engine.edit(rule, { definition: aRule({ threshold: 5 }).definition });
    assert.equal(open?.outcome, 'go on if the new revision still fires for their group');
    await engine.judge(rule);
    const [incident] = await engine.incidents(rule);
    assert.equal(incident?.revision, 2);
    assert.deepEqual(await told(), [['open', null, null, ['opened']]]);
    await engine.pass(rule, NOON + 60_000);
    assert.deepEqual(await told(), [['resolved', 'recovered', WINDOW + 1, ['opened', 'resolved']]]);
  });

  it('end with the change if the new threshold does not hold', async () => {
    await engine.edit(rule, { definition: aRule({ threshold: 6 }).definition });
    await engine.pass(rule, engine.now);
    assert.deepEqual(await told(), [['resolved', 'rule changed', 1000, ['opened', 'resolved']]]);
  });

  it('stay acknowledged when they continue', async () => {
    const em = engine.orm.em.fork();
    await em.execute(`update alert_incidents set state = 'acknowledged', acknowledged_by = 'ada'`);
    await engine.edit(rule, { definition: aRule({ threshold: 5 }).definition });
    await engine.judge(rule);
    assert.deepEqual(await told(), [['acknowledged', null, null, ['opened']]]);
  });

  it('end if its groups change; groups that fire under the new definition open new ones', async () => {
    await engine.arrive(rule, [
      ...ticks(3, { payload: { host: 'a' } }),
      ...ticks(2, { payload: { host: 'b' } }),
    ]);
    const open = await engine.edit(rule, { definition: aRule({ definition: byHost }).definition });
    assert.deepEqual(open, { count: 1, outcome: 'resolved: rule changed' });
    await engine.pass(rule, engine.now);
    assert.deepEqual(await told(), [
      ['resolved', 'rule changed', 1000, ['opened', 'resolved']],
      ['open', null, null, ['opened']],
      ['open', null, null, ['opened']],
    ]);
    const groups = (await engine.incidents(rule)).map(({ groupKey }) => groupKey);
    assert.deepEqual(groups, ['', '["a"]', '[null]']);
    await engine.pass(rule, NOON + 60_000);
    assert.ok((await engine.incidents(rule)).every(({ state }) => state === 'resolved'));
  });

  it('end if it is disabled, and then nothing is counted', async () => {
    const open = await engine.edit(rule, { enabled: false });
    assert.deepEqual(open, { count: 1, outcome: 'resolved: rule disabled' });
    await engine.arrive(rule, ticks(5));
    assert.deepEqual(await told(), [['resolved', 'rule disabled', 1000, ['opened', 'resolved']]]);
    assert.equal(await engine.rows('window_counts', rule), 0);
  });

  it('stay ended if it is enabled again; what its window then contains opens another one', async () => {
    await engine.edit(rule, { enabled: false });
    engine.now += 1000;
    await engine.edit(rule, { enabled: true });
    await engine.pass(rule, engine.now);
    assert.deepEqual(await told(), [
      ['resolved', 'rule disabled', 1000, ['opened', 'resolved']],
      ['open', null, null, ['opened']],
    ]);
    const [, second] = await engine.incidents(rule);
    assert.equal(second?.openedAt.getTime(), NOON + 2000);
    assert.equal(second?.episode, 2);
  });

  it('end if it is deleted, and are all that is left of it', async () => {
    const { definition } = aRule({ definition: { ...byHost, max_groups: 1 } });
    await engine.edit(rule, { definition });
    await engine.arrive(rule, ticks(5, { payload: { host: 'a' } }));
    await engine.wake(await engine.append(ticks(5, { payload: { host: 'b' } })));
    engine.now += 1000;
    const deleted = await deleteRule(engine.orm, rule, engine.now);
    assert.equal(deleted?.open_incidents.outcome, 'resolved: rule deleted');
    assert.equal(await deleteRule(engine.orm, rule, engine.now), null);
    assert.equal(await engine.edit(rule, { name: 'x' }), undefined);
    const unwoken = await engine.append(ticks(5, { payload: { host: 'c' } }));
    await engine.judge(rule);
    await engine.wake(unwoken);
    await engine.judge(rule);
    for (const table of [
      ...[
        'rule_versions',
        'rule_groups',
        'rule_overflow',
        'window_counts',
        'window_times',
        'pending_evaluations',
      ],
    ]) {
      assert.equal(await engine.rows(table, rule), 0, table);
    }
    const incidents = await engine.incidents(rule);
    assert.ok(incidents.length > 1);
    assert.ok(incidents.every(({ state }) => state === 'resolved'));
    assert.equal(incidents.at(-1)?.resolveReason, 'rule deleted');
    assert.deepEqual(await engine.orm.em.fork().execute(`select from alert_rules where id = '${rule}'`), []);
  });

  it('are judged before the counts of the last revision are deleted, however many there are', async () => {
    const counted = async () => {
      const { rows } = await sql`select from window_counts where revision = 1`.execute(sqlOf(engine.orm));
      return rows.length;
    };
    await engine.edit(rule, { definition: aRule({ window: 70 }).definition });
    const seen: number[] = [];
    await engine.judgeWith(rule, async () => void seen.push(await counted()));
    assert.ok(seen.length > 3);
    assert.ok(
      seen.every((n) => n > 0),
      `counts at each commit: ${seen}`,
    );
    assert.equal((await engine.incidents(rule))[0]?.revision, 2);
    assert.equal(await counted(), 0);
  });
});
