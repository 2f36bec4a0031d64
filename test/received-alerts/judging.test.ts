import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { actOnIncident } from '../../db/queries/incidents/by-person.ts';
import { forgetAlerts } from '../../db/queries/received-alerts/writes.ts';
import { listeners } from '../../db/queries/rules/watermark.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import type { ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import { RECEIVING_RULES } from '../../domain/received-alerts/protocols.ts';
import { RESENT_WITHIN_MS } from '../../domain/rules/watermark.ts';
import { recordAlerts } from '../../ingest/alerts/record.ts';
import { firing, HOLDS_MS, paged, resolved } from '../support/alerts.ts';
import { Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 10, 24, 12);
const MINUTE = 60_000;
const { alertmanager, pagerduty } = RECEIVING_RULES;

describe('a received alert', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
    // The rules are made old, so that nothing in these tests is from before they came into force.
    await sql`update rule_versions set effective_at = to_timestamp(0), counted_from = to_timestamp(0)`.execute(
      sqlOf(engine.orm),
    );
  });
  afterEach(() => engine.stop());

  const receive = (messages: readonly ReceivedAlert[], orm: Orm = engine.orm) =>
    recordAlerts(orm, messages, 'ada', engine.now);
  /** Receives messages at `at`, and judges. Returns the rules to be woken. */
  async function arrive(at: number, ...messages: ReceivedAlert[]): Promise<string[]> {
    engine.now = at;
    const { wake } = await receive(messages);
    for (const rule of wake) await engine.judge(rule);
    return wake;
  }
  const spans = async (rule: string = alertmanager) =>
    (await engine.incidents(rule)).map(({ state, openedAt, endedAt }) => [
      ...[state, openedAt.getTime() - NOON],
      endedAt && endedAt.getTime() - NOON,
    ]);
  const notices = async (rule: string = alertmanager) =>
    Promise.all((await engine.incidents(rule)).map(({ id }) => engine.notices(id)));

  it('makes the watermark wait after a gap until its sender had time to repeat it', async () => {
    const patience = async () => (await listeners(sqlOf(engine.orm))).patience;
    assert.equal(await patience(), 0);
    await arrive(NOON, firing(NOON, { ends_at: NOON + HOLDS_MS }));
    assert.equal(await patience(), RESENT_WITHIN_MS);
    await arrive(NOON + MINUTE, resolved(NOON, NOON + MINUTE));
    assert.equal(await patience(), 0);
  });

  it('opens an incident with its own texts and its own start', async () => {
    await arrive(NOON, firing(NOON - 40 * DAY_MS, { ends_at: NOON + HOLDS_MS }));
    const [incident, ...others] = await engine.incidents(alertmanager);
    assert.deepEqual(others, []);
    assert.equal(incident?.since.getTime(), NOON - 40 * DAY_MS);
    assert.equal(incident.late, false);
    assert.equal(incident.summary, 'The disk of db-1 is full');
    assert.equal(incident.severity, 'critical');
    assert.equal(incident.labels.instance, 'db-1');
    assert.equal(incident.annotations.generator_url, 'http://prometheus.example/graph');
    assert.deepEqual(Object.keys(incident.groupLabels), ['fingerprint']);
    assert.deepEqual(incident.metadata, { observed_count: 1, window_seconds: 1 });
    assert.deepEqual(await notices(), [['opened']]);
  });

  it('that is only repeated wakes nobody, and lasts beyond its earlier end', async () => {
    await arrive(NOON, firing(NOON));
    for (let at = NOON + MINUTE; at <= NOON + 30 * MINUTE; at += MINUTE) {
      assert.deepEqual(await arrive(at, firing(NOON, { ends_at: at + HOLDS_MS })), []);
      assert.deepEqual(await engine.sweep(at), [], 'no deadline is due either');
    }
    assert.deepEqual(await spans(), [['open', 0, null]]);
    assert.equal(await engine.rows('received_alerts', alertmanager), 1);
  });

  it('that is not repeated ends at its time-out, once the watermark has passed that', async () => {
    await arrive(NOON, firing(NOON));
    engine.now = NOON + HOLDS_MS + 1;
    assert.deepEqual(await engine.sweep(NOON + HOLDS_MS - 1), []);
    await engine.pass(alertmanager, NOON + HOLDS_MS + MINUTE);
    assert.deepEqual(await spans(), [['resolved', 0, HOLDS_MS]]);
    assert.deepEqual(await notices(), [['opened', 'resolved']]);
  });

  it('ends at its given end as soon as a message says so, wherever the watermark is', async () => {
    await arrive(NOON, firing(NOON));
    await arrive(NOON + 90_000, resolved(NOON, NOON + 80_000));
    assert.deepEqual(await spans(), [['resolved', 0, 80_000]]);
    // Prometheus repeats a resolved alert for a quarter of an hour.
    assert.deepEqual(await arrive(NOON + 150_000, resolved(NOON, NOON + 80_000)), []);
    assert.deepEqual(await notices(), [['opened', 'resolved']]);
  });

  it('that is resolved and fires again is another incident', async () => {
    await arrive(NOON, firing(NOON));
    await arrive(NOON + 60_000, resolved(NOON, NOON + 50_000));
    await arrive(NOON + 70_000, firing(NOON + 65_000));
    assert.deepEqual(await spans(), [
      ['resolved', 0, 50_000],
      ['open', 65_000, null],
    ]);
  });

  it('that came and went while nobody judged gets all of its incidents, at their times', async () => {
    for (const start of [0, 100_000, 200_000]) {
      engine.now = NOON + start;
      await receive([firing(engine.now)]);
      engine.now += 50_000;
      await receive([resolved(NOON + start, engine.now)]);
    }
    engine.now = NOON + DAY_MS;
    await engine.judge(alertmanager);
    assert.deepEqual(await spans(), [
      ['resolved', 0, 50_000],
      ['resolved', 100_000, 150_000],
      ['resolved', 200_000, 250_000],
    ]);
    assert.equal((await notices()).flat().length, 6);
  });

  it('that comes and goes in one batch of messages is still an incident', async () => {
    await arrive(NOON, paged('trigger', NOON), paged('resolve', NOON));
    assert.deepEqual(await spans(pagerduty), [['resolved', 0, 1]]);
    assert.deepEqual(await notices(pagerduty), [['opened', 'resolved']]);
  });

  it('that was silent for too long and is sent again reopens the same incident', async () => {
    await arrive(NOON, firing(NOON));
    await engine.pass(alertmanager, NOON + 10 * MINUTE);
    await arrive(NOON + 11 * MINUTE, firing(NOON, { ends_at: NOON + 15 * MINUTE }));
    assert.deepEqual(await spans(), [['open', 0, null]]);
    assert.deepEqual(await notices(), [['opened', 'resolved', 'reopened']]);
  });

  it('with a start in the future opens its incident at that time', async () => {
    const start = NOON + 10 * MINUTE;
    await arrive(NOON, firing(start, { ends_at: start + HOLDS_MS }));
    assert.deepEqual(await spans(), []);
    await engine.pass(alertmanager, start + 1000);
    assert.deepEqual(await spans(), [['open', 10 * MINUTE, null]]);
    await engine.pass(alertmanager, start + HOLDS_MS);
    assert.deepEqual(await spans(), [['resolved', 10 * MINUTE, 10 * MINUTE + HOLDS_MS]]);
  });

  it('that turns out to have begun earlier moves the beginning of its incident', async () => {
    await arrive(NOON, firing(NOON));
    await arrive(NOON + 1000, firing(NOON - 5000, { ends_at: NOON + HOLDS_MS }));
    assert.deepEqual(await spans(), [['open', -5000, null]]);
    assert.deepEqual(await notices(), [['opened']]);
  });

  it('whose end moves earlier ends there', async () => {
    await arrive(NOON, firing(NOON, { ends_explicit: false, ends_at: NOON + 5 * MINUTE }));
    await arrive(NOON + 1000, firing(NOON, { ends_at: NOON + 2 * MINUTE }));
    await engine.pass(alertmanager, NOON + 3 * MINUTE);
    assert.deepEqual(await spans(), [['resolved', 0, 2 * MINUTE]]);
  });

  it('with new annotations updates its incident’s texts, and nobody is notified', async () => {
    await arrive(NOON, firing(NOON));
    const annotations = { summary: '97 % full' };
    assert.deepEqual(await arrive(NOON + 1000, firing(NOON, { annotations, summary: '97 % full' })), []);
    const [incident] = await engine.incidents(alertmanager);
    assert.equal(incident?.annotations.summary, '97 % full');
    assert.equal(incident.summary, '97 % full');
    assert.deepEqual(await notices(), [['opened']]);
  });

  it('is acknowledged by its sender, even if that comes before its incident is open', async () => {
    for (const together of [true, false]) {
      const at = together ? NOON : NOON + MINUTE;
      if (together) await arrive(at, paged('trigger', at), paged('acknowledge', at));
      else {
        await arrive(at - 2, paged('resolve', at - 2));
        await arrive(at, paged('trigger', at));
        await arrive(at, paged('acknowledge', at));
      }
      const incident = (await engine.incidents(pagerduty)).at(-1);
      assert.equal(incident?.state, 'acknowledged');
      assert.equal(incident.acknowledgedBy, 'ada');
      assert.equal(incident.acknowledgedAt?.getTime(), at);
      assert.ok(engine.signalled.includes(incident.id), 'its workflow is told');
    }
  });

  it('that is acknowledged twice, or is unknown, changes nothing', async () => {
    assert.deepEqual((await receive([paged('acknowledge', NOON)])).outcomes, ['ignored']);
    await arrive(NOON, paged('trigger', NOON), paged('acknowledge', NOON));
    assert.deepEqual(await arrive(NOON + 1, paged('acknowledge', NOON + 1)), []);
    const [incident] = await engine.incidents(pagerduty);
    assert.equal(incident?.acknowledgedAt?.getTime(), NOON);
  });

  it('whose incident a person resolved opens no other incident until it has been over once', async () => {
    await arrive(NOON, firing(NOON));
    await sql`
      update alert_incidents set state = 'resolved', resolved_at = now(), resolved_by = 'ada', resolve_reason = 'manual'`.execute(
      sqlOf(engine.orm),
    );
    for (let at = NOON + MINUTE; at < NOON + 20 * MINUTE; at += MINUTE) {
      await arrive(at, firing(NOON, { ends_at: at + HOLDS_MS }));
      await engine.sweep(at);
      await engine.judge(alertmanager);
    }
    assert.deepEqual(await spans(), [['resolved', 0, null]]);
    const end = NOON + 20 * MINUTE;
    await arrive(end, resolved(NOON, end));
    await arrive(end + 1000, firing(end + 1000));
    assert.deepEqual(await spans(), [
      ['resolved', 0, 20 * MINUTE],
      ['open', 20 * MINUTE + 1000, null],
    ]);
    assert.deepEqual(await notices(), [['opened'], ['opened']]);
  });

  it('of PagerDuty is over once a person resolved its incident: the next trigger opens another', async () => {
    await arrive(NOON, paged('trigger', NOON), firing(NOON));
    engine.now = NOON + MINUTE;
    for (const rule of [pagerduty, alertmanager]) {
      const [incident] = await engine.incidents(rule);
      const asked = { action: 'resolve', incident_id: incident!.id, request: 'r', actor: 'ada' } as const;
      for (let tries = 1; tries <= 2; tries++) {
        assert.deepEqual(await actOnIncident(engine.orm, asked, engine.now), { done: true });
      }
      await engine.judge(rule);
    }
    assert.deepEqual(await spans(pagerduty), [['resolved', 0, MINUTE]]);
    assert.deepEqual(
      await spans(),
      [['resolved', 0, null]],
      'Alertmanager’s senders say themselves when it is over',
    );
    await arrive(NOON + 2 * MINUTE, paged('trigger', NOON + 2 * MINUTE));
    assert.deepEqual(await spans(pagerduty), [
      ['resolved', 0, MINUTE],
      ['open', 2 * MINUTE, null],
    ]);
    assert.deepEqual(await notices(pagerduty), [['opened', 'resolved'], ['opened']]);
  });

  it('of PagerDuty that is triggered again while a person resolves its incident opens another, without a deadlock', async () => {
    await arrive(NOON, paged('trigger', NOON));
    const [incident] = await engine.incidents(pagerduty);
    engine.now = NOON + MINUTE;
    const asked = { action: 'resolve', incident_id: incident!.id, request: 'r', actor: 'ada' } as const;
    const summary = (n: number) => ({ summary: `Fuller by ${n}` });
    await Promise.all([
      ...Array.from({ length: 10 }, (_, n) => receive([paged('trigger', NOON + MINUTE, summary(n))])),
      actOnIncident(engine.orm, asked, engine.now),
    ]);
    engine.now += 1;
    await receive([paged('trigger', engine.now)]);
    await engine.judge(pagerduty);
    assert.deepEqual(
      (await spans(pagerduty)).map(([state]) => state),
      ['resolved', 'open'],
    );
  });

  it('is judged once, even after a crash in place of each commit', async () => {
    engine.now = NOON;
    await receive([firing(NOON)]);
    for (const nth of [0, 1]) await engine.judgeAndCrash(alertmanager, nth);
    await engine.judge(alertmanager);
    assert.deepEqual(await spans(), [['open', 0, null]]);
    assert.deepEqual(await notices(), [['opened']]);
  });

  it('that is resolved while its incident is being opened is resolved by the next judging', async () => {
    engine.now = NOON;
    await receive([firing(NOON)]);
    let over: Promise<unknown> | undefined;
    await engine.judgeWith(alertmanager, async () => {
      if (over) return;
      over = receive([resolved(NOON, NOON)]);
      await engine.doneOrBlocked(over);
    });
    await over;
    await engine.judge(alertmanager);
    assert.deepEqual(await spans(), [['resolved', 0, 1]]);
  });

  it('whose texts change while its incident is being opened has the new texts in the end', async () => {
    engine.now = NOON;
    await receive([firing(NOON)]);
    let reworded: Promise<unknown> | undefined;
    await engine.judgeWith(alertmanager, async () => {
      if (reworded) return;
      reworded = receive([firing(NOON, { summary: 'Fuller' })]);
      await engine.doneOrBlocked(reworded);
    });
    await reworded;
    assert.equal((await engine.incidents(alertmanager))[0]?.summary, 'Fuller');
  });

  describe('an alert whose rule is disabled', () => {
    it('its incident ends when the rule is disabled; when the rule is enabled again, alerts that still fire open new ones', async () => {
      await arrive(NOON, firing(NOON));
      engine.now = NOON + 1000;
      await engine.edit(alertmanager, { enabled: false });
      await engine.settle(alertmanager);
      assert.deepEqual(await spans(), [['resolved', 0, 1000]]);
      assert.deepEqual(await arrive(NOON + MINUTE, firing(NOON, { ends_at: NOON + 6 * MINUTE })), []);
      engine.now = NOON + 2 * MINUTE;
      await engine.edit(alertmanager, { enabled: true });
      await engine.settle(alertmanager);
      assert.deepEqual(await spans(), [
        ['resolved', 0, 1000],
        ['open', 2 * MINUTE, null],
      ]);
      const [, incident] = await engine.incidents(alertmanager);
      assert.equal(incident?.since.getTime(), NOON, 'it fires since then all the same');
      await engine.pass(alertmanager, NOON + 7 * MINUTE);
      assert.deepEqual((await spans())[1], ['resolved', 2 * MINUTE, 6 * MINUTE]);
    });
  });

  describe('of a rule with as many groups as it may have', () => {
    const host = (i: number, at = engine.now) => firing(at, { labels: { alertname: 'Down', host: `h${i}` } });
    beforeEach(async () => {
      const definition = {
        ...{
          condition: { kind: 'received', protocol: 'alertmanager' } as const,
          event_type: null,
          severity: null,
        },
        ...{ match: [], group_by: [], for_seconds: 0, keep_firing_seconds: 0, recovery_threshold: null },
        ...{ allowed_lateness_seconds: 0, max_groups: 2 },
      };
      await engine.edit(alertmanager, { definition });
      await engine.settle(alertmanager);
      engine.now += 1000;
    });

    it('shares one incident with others, which lasts as long as the last of them', async () => {
      const began = engine.now;
      await arrive(began, ...[1, 2, 3, 4, 5].map((i) => host(i)));
      const overflow = async () =>
        (await engine.incidents(alertmanager)).filter(({ groupKey }) => groupKey === '*');
      assert.equal((await engine.incidents(alertmanager)).length, 3);
      const [incident, ...others] = await overflow();
      assert.deepEqual(others, []);
      assert.match(incident!.summary, /More than 2 alerts are active; this incident stands for 3 more/);
      assert.deepEqual(incident!.groupLabels, { overflow: 'true' });
      const crowded = await sql<{ key: string }>`
        select key from received_alerts where group_key = '*' order by key`.execute(sqlOf(engine.orm));
      for (const [i, { key }] of crowded.rows.entries()) {
        assert.equal((await overflow())[0]?.state, 'open');
        const at = began + 1000 * (i + 1);
        await arrive(at, resolved(began, at, { key }));
      }
      const [ended] = await overflow();
      assert.equal(ended?.state, 'resolved');
      assert.equal(ended.endedAt?.getTime(), began + 3000);
      const { rows } = await sql<{ n: number }>`
        select sum(events)::int as n from rule_overflow where rule_id = ${alertmanager}`.execute(
        sqlOf(engine.orm),
      );
      assert.equal(rows[0]?.n, 3, 'and that is counted, for people to see');
    });
  });

  it('is removed a day after its end, once that is judged', async () => {
    await arrive(NOON, firing(NOON), paged('trigger', NOON));
    engine.now = NOON + 2 * DAY_MS;
    assert.equal(await forgetAlerts(sqlOf(engine.orm), engine.now - DAY_MS), 0, 'nobody has judged its end');
    await engine.pass(alertmanager, engine.now);
    assert.deepEqual(await spans(), [['resolved', 0, HOLDS_MS]]);
    assert.equal(await forgetAlerts(sqlOf(engine.orm), engine.now - DAY_MS), 1);
    assert.equal(await engine.rows('received_alerts', pagerduty), 1, 'what goes on stays');
  });
});
