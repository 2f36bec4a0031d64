import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import type { ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import { RECEIVING_RULES } from '../../domain/received-alerts/protocols.ts';
import { recordAlerts } from '../../ingest/alerts/record.ts';
import { firing, HOLDS_MS, resolved } from '../support/alerts.ts';
import { Engine } from '../support/engine.ts';
import { explaining } from '../support/touched.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const { alertmanager } = RECEIVING_RULES;

const named = (name: string) => ({ labels: { alertname: name } });

describe('alerts in the overflow group', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
    const db = sqlOf(engine.orm);
    await sql`update rule_versions set effective_at = to_timestamp(0), counted_from = to_timestamp(0)`.execute(
      db,
    );
    await sql`update alert_rules set definition = jsonb_set(definition, '{max_groups}', '0')`.execute(db);
  });
  afterEach(() => engine.stop());

  const receive = (...messages: ReceivedAlert[]) => recordAlerts(engine.orm, messages, 'ada', engine.now);
  const spans = async () =>
    (await engine.incidents(alertmanager)).map(({ openedAt, endedAt }) => [
      openedAt.getTime(),
      endedAt?.getTime() ?? null,
    ]);

  /**
   * Puts alerts into the overflow group. They began before now, one per millisecond, and have texts of a
   * kilobyte each.
   */
  async function addAlerts(n: number): Promise<void> {
    const db = sqlOf(engine.orm);
    await receive(firing(engine.now - n, named('first')));
    await sql`
      insert into received_alerts (rule_id, key, group_key, labels, annotations, severity, summary, starts_at, ends_at, ends,
        updated_at, senders)
      select rule_id, 'alert-' || i, '*', labels, jsonb_build_object('text', repeat(md5(i::text), 32)), severity, summary,
        starts_at + i, ends_at, ends, updated_at, '{}'
      from received_alerts, generate_series(1, ${n - 1}::int) i`.execute(db);
    await sql`analyze received_alerts`.execute(db);
    await engine.judge(alertmanager);
  }

  it('are judged without reading all other alerts when one comes or goes', async () => {
    await addAlerts(10_000);
    const changes: [string, () => ReceivedAlert[]][] = [
      ['one begins', () => [firing(engine.now, named('one'))]],
      ['others begin', () => [1, 2, 3].map((i) => firing(engine.now, named(`other-${i}`)))],
      ['one is over', () => [resolved(NOON, engine.now, named('one'))]],
      ['the first is over', () => [resolved(NOON - 10_000, engine.now, named('first'))]],
      ['one begins again', () => [firing(engine.now, named('one'))]],
    ];
    const { orm, touched, stop } = await explaining(engine.url, 'received_alerts');
    try {
      for (const [what, messages] of changes) {
        engine.now += 1000;
        await receive(...messages());
        touched.length = 0;
        await engine.judge(alertmanager, orm);
        const blocks = touched.reduce((sum, statement) => sum + statement.blocks, 0);
        assert.ok(touched.length > 0 && blocks < 100, `${what}: ${JSON.stringify(touched)}`);
        assert.equal(await engine.rows('pending_evaluations', alertmanager), 0);
      }
    } finally {
      await stop();
    }
    assert.deepEqual(await spans(), [[NOON - 10_000, null]]);
    await engine.pass(alertmanager, engine.now + HOLDS_MS);
    assert.deepEqual(await spans(), [[NOON - 10_000, engine.now]]);
  });

  it('get the incidents that follow from their times together, in whatever order they come and go', async function () {
    this.timeout(120_000);
    const step = fc.record({
      alert: fc.nat(3),
      over: fc.boolean(),
      after: fc.constantFrom(0, 1, 1000, 60_000, HOLDS_MS),
      judged: fc.boolean(),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
        const began = engine.now;
        const prefix = `run-${run++}`;
        const active = new Map<number, { start: number; end: number }>();
        const held: { start: number; end: number }[] = [];
        for (const { alert, over, after, judged } of steps) {
          engine.now += after;
          await engine.sweep(engine.now);
          const name = named(`${prefix}-${alert}`);
          const known = active.get(alert);
          const holds = known && known.end > engine.now ? known : undefined;
          if (over) {
            if (holds) holds.end = Math.max(engine.now, holds.start + 1);
            active.delete(alert);
            await receive(resolved(holds?.start ?? engine.now, engine.now, name));
          } else {
            if (holds) holds.end = engine.now + HOLDS_MS;
            else {
              // If an alert is over and begins again in the same millisecond, the new episode begins when the
              // old one has ended.
              const last = held.findLast(
                (h) => h.end > engine.now && (h as { alert?: number }).alert === alert,
              );
              const start = last?.end ?? engine.now;
              const episode = { alert, start, end: engine.now + HOLDS_MS };
              active.set(alert, episode);
              held.push(episode);
            }
            await receive(firing(engine.now, name));
          }
          if (judged) await engine.judge(alertmanager);
        }
        engine.now += 2 * HOLDS_MS;
        await engine.settle(alertmanager);
        const expected: number[][] = [];
        for (const { start, end } of held.toSorted((a, b) => a.start - b.start)) {
          const last = expected.at(-1);
          if (last && start < last[1]!) last[1] = Math.max(last[1]!, end);
          else expected.push([start, end]);
        }
        const found = (await spans()).filter(([opened]) => opened! >= began);
        assert.deepEqual(found, expected);
        engine.now += 1000;
      }),
      { numRuns: Number(process.env.MODEL_RUNS ?? 60), interruptAfterTimeLimit: 60_000 },
    );
  });
});
