import assert from 'node:assert/strict';
import { createRule, type RuleInput } from '../../db/queries/rules/changes.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const MINUTE = 60_000;

describe('an incident', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  /** The incident of a rule, after three events at `occurred_at` have arrived. */
  async function incidentOf(input: RuleInput, occurred_at: number, severities = ['low', 'high', 'medium']) {
    const { id } = await createRule(engine.orm, input, engine.now);
    await engine.judge(id);
    await engine.arrive(
      id,
      severities.map((severity) => anEvent({ occurred_at, severity })),
    );
    const [incident] = await engine.incidents(id);
    assert.ok(incident);
    return { rule: id, incident, notices: () => engine.notices(incident.id) };
  }
  const again = async (rule: string) => (await engine.incidents(rule))[0]!;

  it('shows how many events were in the window when it opened, even if it turns out to have opened earlier', async () => {
    const { rule, incident } = await incidentOf(aRule(), NOON, ['low', 'low', 'low', 'low', 'low']);
    assert.equal(incident.metadata.observed_count, 5);
    await engine.arrive(
      rule,
      [1, 2, 3].map(() => anEvent({ occurred_at: NOON - 1000 })),
    );
    const earlier = await again(rule);
    assert.equal(earlier.id, incident.id);
    assert.equal(earlier.openedAt.getTime(), NOON - 1000);
    assert.equal(earlier.metadata.observed_count, 3);
  });

  describe('that came late', () => {
    it('is recorded at its event times, marked late and resolved already; people are notified', async () => {
      engine.now = NOON;
      await engine.sweep(NOON);
      const { incident, notices } = await incidentOf(aRule(), NOON - 10 * MINUTE);
      assert.equal(incident.late, true);
      assert.equal(incident.state, 'resolved');
      assert.equal(incident.openedAt.getTime(), NOON - 10 * MINUTE);
      assert.equal(incident.endedAt?.getTime(), NOON - 10 * MINUTE + 10_001);
      assert.equal(incident.recordedAt.getTime(), NOON);
      assert.deepEqual(await notices(), ['opened', 'resolved']);
    });

    it('is stored without a notice if the rule only records late incidents', async () => {
      await engine.sweep(NOON);
      const { incident, notices } = await incidentOf(aRule({ late: 'record' }), NOON - 10 * MINUTE);
      assert.equal(incident.late, true);
      assert.deepEqual(await notices(), []);
    });

    it('causes no notice until its end, even if it is still firing when it is recorded', async () => {
      const { rule, incident, notices } = await incidentOf(
        aRule({ late: 'record', window: 600 }),
        NOON - 2 * MINUTE,
      );
      assert.deepEqual([incident.late, incident.state], [true, 'open']);
      await engine.pass(rule, NOON + 20 * MINUTE);
      assert.equal((await again(rule)).state, 'resolved');
      assert.deepEqual(await notices(), []);
    });

    it('causes no notice when its rule is disabled', async () => {
      const { rule, notices } = await incidentOf(aRule({ late: 'record', window: 600 }), NOON - 2 * MINUTE);
      engine.now += 1000;
      await engine.edit(rule, { enabled: false });
      await engine.settle(rule);
      assert.equal((await again(rule)).state, 'resolved');
      assert.deepEqual(await notices(), []);
    });

    it('is not late if its events came within a minute', async () => {
      const { incident, notices } = await incidentOf(aRule({ late: 'record', window: 600 }), NOON - MINUTE);
      assert.equal(incident.late, false);
      assert.deepEqual(await notices(), ['opened']);
    });
  });

  describe('has the severity', () => {
    it('of its rule’s incident_severity', async () => {
      const { incident } = await incidentOf(aRule({ incident_severity: 'info' }), NOON);
      assert.equal(incident.severity, 'info');
    });

    it('of its rule’s severity filter', async () => {
      const input = aRule({ definition: { severity: 'low' } });
      const { incident } = await incidentOf(input, NOON, ['low', 'low', 'low', 'critical']);
      assert.equal(incident.severity, 'low');
    });

    it('of the worst event that opened it, by rank and not alphabetically', async () => {
      const { incident } = await incidentOf(aRule(), NOON);
      assert.equal(incident.severity, 'high');
    });

    it('of the worst event of its own group', async () => {
      const input = aRule({ threshold: 1, definition: { group_by: ['severity'] } });
      const { rule } = await incidentOf(input, NOON);
      const severities = (await engine.incidents(rule)).map(({ groupKey, severity }) => [groupKey, severity]);
      assert.deepEqual(severities, [
        ['["high"]', 'high'],
        ['["low"]', 'low'],
        ['["medium"]', 'medium'],
      ]);
    });

    it('info, if no event has a known severity', async () => {
      const { incident } = await incidentOf(aRule(), NOON, ['odd', 'strange', 'other']);
      assert.equal(incident.severity, 'info');
    });
  });

  it('has the texts of its rule, its group and the number of events', async () => {
    const input = aRule({
      name: 'disk',
      labels: { team: 'storage' },
      annotations: { runbook: 'https://x.example' },
      definition: { group_by: ['payload.zone', 'payload.host'] },
    });
    const { id } = await createRule(engine.orm, input, NOON);
    await engine.judge(id);
    const payload = { zone: { name: 'eu', id: 7 }, host: `a${'😀'.repeat(150)}` };
    const ticks = Array.from({ length: 4 }, () => anEvent({ occurred_at: NOON, payload }));
    await engine.arrive(id, ticks);
    const [incident] = await engine.incidents(id);
    assert.equal(incident?.ruleName, 'disk');
    assert.deepEqual(incident?.labels, { team: 'storage' });
    assert.deepEqual(incident?.annotations, { runbook: 'https://x.example' });
    assert.deepEqual(incident?.metadata, { observed_count: 4, window_seconds: 10 });
    // The key is too long for the values, so they come from an event.
    const { 'payload.host': host, ...others } = incident!.groupLabels;
    assert.match(host!, /^a(?:😀)+~[0-9a-f]{8}$/u);
    assert.deepEqual(others, { 'payload.zone': '{"id":7,"name":"eu"}' });
  });
});
