import assert from 'node:assert/strict';
import { IncidentEntity } from '../../db/entities/incident.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('an incident that a person resolved while its rule still fires', () => {
  let engine: Engine;
  let rule: string;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
    ({ id: rule } = await createRule(engine.orm, aRule(), NOON));
    await engine.judge(rule);
    await engine.arrive(rule, ticks());
    engine.now += 1000;
    // Writes what the incident's own workflow would write.
    const resolvedAt = new Date(engine.now);
    await engine.orm.em
      .fork()
      .nativeUpdate(
        IncidentEntity,
        { ruleId: rule },
        { state: 'resolved', resolvedAt, resolvedBy: 'ada', resolveReason: 'manual' },
      );
  });
  afterEach(() => engine.stop());

  const ticks = (occurred_at = engine.now) => Array.from({ length: 3 }, () => anEvent({ occurred_at }));
  const told = async () =>
    Promise.all(
      (await engine.incidents(rule)).map(async ({ id, state, resolveReason, endedAt }) => [
        ...[state, resolveReason, endedAt && endedAt.getTime() - NOON],
        await engine.notices(id),
      ]),
    );
  const MUTED = ['resolved', 'manual', null, ['opened']];

  it('stays resolved, and its group opens no other incident, while the episode continues', async () => {
    await engine.arrive(rule, ticks());
    await engine.pass(rule, NOON + 9000);
    await engine.arrive(rule, ticks());
    await engine.pass(rule, NOON + 18_000);
    assert.deepEqual(await told(), [MUTED]);
  });

  it('is ended by the rule without a notice, and the next episode is a new incident', async () => {
    await engine.pass(rule, NOON + 20_000);
    const ended = ['resolved', 'manual', 10_001, ['opened']];
    assert.deepEqual(await told(), [ended]);
    const [incident] = await engine.incidents(rule);
    assert.equal(incident?.resolvedAt?.getTime(), NOON + 1000);
    await engine.arrive(rule, ticks());
    assert.deepEqual(await told(), [ended, ['open', null, null, ['opened']]]);
  });

  it('no longer counts as resolved by a person when late events merge it into an open one', async () => {
    await engine.pass(rule, NOON + 12_000);
    engine.now = NOON + 25_000;
    await engine.arrive(rule, ticks());
    assert.equal((await engine.incidents(rule)).length, 2);
    for (const late of [9000, 18_000]) await engine.arrive(rule, ticks(NOON + late));
    const first = async () => {
      const [{ state, resolvedBy, resolveReason, reopened } = assert.fail('it is gone')] =
        await engine.incidents(rule);
      return [state, resolvedBy, resolveReason, reopened];
    };
    assert.deepEqual(await first(), ['open', null, null, 1]);
    await engine.pass(rule, NOON + 40_000);
    assert.deepEqual(await first(), ['resolved', null, 'recovered', 1]);
    await engine.arrive(rule, ticks(NOON + 34_000));
    assert.deepEqual(await first(), ['open', null, null, 2]);
  });

  it('stays resolved when late events show that it continued an earlier one', async () => {
    // The earlier episode ended 15 s before this one began.
    const before = NOON - 15_000;
    await engine.pass(rule, engine.now);
    await engine.arrive(rule, ticks(before - 10_001));
    assert.equal((await engine.incidents(rule)).length, 2);
    await engine.arrive(rule, ticks(before));
    await engine.arrive(rule, ticks(before + 9000));
    const [first, second] = await engine.incidents(rule);
    assert.equal(second?.mergedInto, first?.id);
    assert.deepEqual(
      [first?.state, first?.reopened, first?.resolvedBy, first?.endedAt],
      ['resolved', 0, 'ada', null],
    );
    // When its end comes, and when later events prolong it, nobody is notified either.
    await engine.pass(rule, NOON + 15_000);
    await engine.arrive(rule, ticks(NOON + 9000));
    assert.deepEqual((await engine.incidents(rule))[0]?.reopened, 0);
  });

  it('is not reopened by late events that show that it continued', async () => {
    await engine.pass(rule, NOON + 15_000);
    await engine.arrive(rule, ticks(NOON + 9000));
    assert.deepEqual(await told(), [MUTED]);
    await engine.pass(rule, NOON + 60_000);
    assert.deepEqual(await told(), [['resolved', 'manual', 19_001, ['opened']]]);
  });

  it('stays resolved when the rule changes and still fires', async () => {
    await engine.edit(rule, { definition: aRule({ threshold: 2 }).definition });
    await engine.settle(rule);
    await engine.arrive(rule, ticks());
    assert.deepEqual(await told(), [MUTED]);
    await engine.pass(rule, NOON + 60_000);
    assert.deepEqual(await told(), [['resolved', 'manual', 11_001, ['opened']]]);
  });

  it('stays resolved when the rule is disabled', async () => {
    await engine.edit(rule, { enabled: false });
    await engine.settle(rule);
    assert.deepEqual(await told(), [['resolved', 'manual', 1000, ['opened']]]);
  });
});
