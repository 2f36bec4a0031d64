import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { RECEIVING_RULES } from '../../domain/received-alerts/protocols.ts';
import { recordAlerts } from '../../ingest/alerts/record.ts';
import { firing, resolved } from '../support/alerts.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const WINDOW = 10_000;
const EARLIER = -300_000;

/**
 * While the watermark is behind, it is unknown whether an earlier episode has ended: late events may still
 * join it to the open incident.
 */
describe('late events that fire before an open incident', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const ticks = (n: number, occurred_at: number) => Array.from({ length: n }, () => anEvent({ occurred_at }));

  async function begin(late: 'notify' | 'record'): Promise<string> {
    const { id } = await createRule(engine.orm, aRule({ late }), NOON);
    await engine.sweep(NOON + EARLIER);
    await engine.judge(id);
    await engine.arrive(id, ticks(3, NOON));
    return id;
  }

  async function seen(rule: string) {
    const incidents = await engine.incidents(rule);
    return Promise.all(
      incidents.map(async ({ id, openedAt, endedAt, late }) => ({
        span: [openedAt.getTime() - NOON, endedAt && endedAt.getTime() - NOON],
        late,
        notices: await engine.notices(id),
      })),
    );
  }

  const OPEN = { span: [0, null], late: false, notices: ['opened'] };

  for (const late of ['notify', 'record'] as const) {
    it(`do not change it, and become an incident of their own once their end is certain (${late})`, async () => {
      const rule = await begin(late);
      await engine.arrive(rule, ticks(3, NOON + EARLIER + 1000));
      assert.deepEqual(await seen(rule), [OPEN]);
      // Before the end, nothing is due.
      assert.deepEqual(await engine.sweep(NOON + EARLIER + WINDOW + 1000), []);
      await engine.sweep(NOON + EARLIER + WINDOW + 1001);
      await engine.judge(rule);
      const earlier = {
        span: [EARLIER + 1000, EARLIER + WINDOW + 1001],
        late: true,
        notices: late === 'notify' ? ['opened', 'resolved'] : [],
      };
      assert.deepEqual(await seen(rule), [earlier, OPEN]);
      await engine.pass(rule, NOON + 60_000);
      assert.deepEqual(await seen(rule), [
        earlier,
        { span: [0, WINDOW + 1], late: false, notices: ['opened', 'resolved'] },
      ]);
    });
  }

  it('are still late when more of them come', async () => {
    const rule = await begin('record');
    await engine.arrive(rule, ticks(3, NOON + EARLIER + 5000));
    await engine.arrive(rule, ticks(3, NOON + EARLIER + 30_000));
    await engine.pass(rule, NOON + 1000);
    assert.deepEqual(
      (await seen(rule)).map(({ span, late, notices }) => [span, late, notices]),
      [
        [[EARLIER + 5000, EARLIER + 5000 + WINDOW + 1], true, []],
        [[EARLIER + 30_000, EARLIER + 30_000 + WINDOW + 1], true, []],
        [[0, null], false, ['opened']],
      ],
    );
  });

  it('become part of it if other late events close the gap, and nobody is notified again', async () => {
    const rule = await begin('notify');
    for (let at = EARLIER + 1000; at < 0; at += 5000) await engine.arrive(rule, ticks(3, NOON + at));
    assert.deepEqual(await seen(rule), [{ ...OPEN, span: [EARLIER + 1000, null] }]);
    await engine.pass(rule, NOON + 60_000);
    assert.deepEqual(await seen(rule), [
      { span: [EARLIER + 1000, WINDOW + 1], late: false, notices: ['opened', 'resolved'] },
    ]);
  });

  it('are judged before the rule changes', async () => {
    const rule = await begin('notify');
    await engine.arrive(rule, ticks(3, NOON + EARLIER + 1000));
    engine.now += 1000;
    await engine.edit(rule, aRule({ threshold: 2 }));
    await engine.judge(rule);
    assert.deepEqual(
      (await seen(rule)).map(({ span }) => span),
      [
        [EARLIER + 1000, EARLIER + WINDOW + 1001],
        [0, null],
      ],
    );
    const { rows } = await sql`select from rule_groups where deferred_from is not null`.execute(
      sqlOf(engine.orm),
    );
    assert.equal(rows.length, 0);
  });

  describe('late events of received alerts in the overflow group', () => {
    const { alertmanager } = RECEIVING_RULES;
    const named = (name: string) => ({ labels: { alertname: name } });

    beforeEach(async () => {
      const db = sqlOf(engine.orm);
      await sql`update rule_versions set effective_at = to_timestamp(0), counted_from = to_timestamp(0)`.execute(
        db,
      );
      await sql`update alert_rules set definition = jsonb_set(definition, '{max_groups}', '0')`.execute(db);
      await engine.sweep(NOON + EARLIER);
      await recordAlerts(engine.orm, [firing(NOON, named('a'))], 'ada', NOON);
      await engine.judge(alertmanager);
      // An alert that was active from before until after, from a sender whose messages were delayed.
      await recordAlerts(
        engine.orm,
        [firing(NOON + EARLIER, { ...named('b'), ends_at: NOON - 100_000, ends_explicit: false })],
        'ada',
        NOON,
      );
      await engine.judge(alertmanager);
    });

    it('do not change it', async () => {
      assert.deepEqual(await seen(alertmanager), [OPEN]);
      await engine.sweep(NOON - 100_000);
      await engine.judge(alertmanager);
      assert.deepEqual(
        (await seen(alertmanager)).map(({ span, notices }) => [span, notices]),
        [
          [
            [EARLIER, -100_000],
            ['opened', 'resolved'],
          ],
          [[0, null], ['opened']],
        ],
      );
    });

    it('are judged before the rule changes, even while another alert is announced for later', async () => {
      engine.now = NOON + 10_000;
      const later = firing(NOON + 3_600_000, { ...named('c'), ends_at: NOON + 7_200_000 });
      const over = resolved(NOON, NOON + 10_000, named('a'));
      await recordAlerts(engine.orm, [over, later], 'ada', engine.now);
      await engine.judge(alertmanager);
      const { rows } = await sql<{ state: string; deferred_from: string }>`
        select state, deferred_from from rule_groups where group_key = '*'`.execute(sqlOf(engine.orm));
      assert.deepEqual(rows, [{ state: 'pending', deferred_from: String(NOON + EARLIER) }]);
      engine.now += 1000;
      await engine.edit(alertmanager, { enabled: false });
      await engine.judge(alertmanager);
      assert.deepEqual(
        (await seen(alertmanager)).map(({ span }) => span),
        [
          [EARLIER, -100_000],
          [0, 10_000],
        ],
      );
    });

    it('do not open it again once it was resolved', async () => {
      engine.now = NOON + 10_000;
      await recordAlerts(engine.orm, [resolved(NOON, NOON + 10_000, named('a'))], 'ada', engine.now);
      await engine.judge(alertmanager);
      await engine.sweep(NOON - 150_000);
      await engine.judge(alertmanager);
      const ended = { span: [0, 10_000], late: false, notices: ['opened', 'resolved'] };
      assert.deepEqual(await seen(alertmanager), [ended]);
      await engine.pass(alertmanager, NOON + 20_000);
      assert.deepEqual(
        (await seen(alertmanager)).map(({ span }) => span),
        [
          [EARLIER, -100_000],
          [0, 10_000],
        ],
      );
    });
  });
});
