import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { createRule, type RuleInput, recountRules } from '../../db/queries/rules/changes.ts';
import { trimCounts } from '../../db/queries/rules/counts-kept.ts';
import { forgetIdleGroups } from '../../db/queries/rules/forget-groups.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { MOST_LAYERS } from '../../domain/rules/measure.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const HOUR_MS = 3_600_000;
const byHost = { group_by: ['payload.host'] };

describe('a revision with the same measure as the one before', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const create = async (input: RuleInput) => {
    const { id } = await createRule(engine.orm, input, engine.now);
    return id;
  };
  const tick = (occurred_at: number, host = 'a') => anEvent({ occurred_at, payload: { host } });
  /** Whether each revision of the rule is ready, in order. */
  const ready = async (rule: string) =>
    (
      await sql<{ ready: boolean }>`
        select ready from rule_versions where rule_id = ${rule} order by revision`.execute(sqlOf(engine.orm))
    ).rows.map((row) => row.ready);
  /** The layers, with the number of events counted in each. */
  const layers = async (rule: string) =>
    (
      await sql<{ layer: number; n: number }>`
        select revision as layer, sum(n)::int as n from window_counts
        where rule_id = ${rule} group by 1 order by 1`.execute(sqlOf(engine.orm))
    ).rows.map(({ layer, n }) => [layer, n]);
  /** Group, opening, end and revision of each incident, in milliseconds from noon. */
  const told = async (rule: string) =>
    (await engine.incidents(rule)).map(({ groupKey, openedAt, endedAt, revision }) => [
      groupKey,
      openedAt.getTime() - NOON,
      endedAt && endedAt.getTime() - NOON,
      revision,
    ]);

  it('is ready at once without reading any of 50,000 counted events, when only the threshold changed', async function () {
    this.timeout(60_000);
    // Of 2,000 groups, 40 have 300 events each.
    const hostOf = (n: number) => `h${n % 50 < 12 ? n % 40 : 40 + (n % 1960)}`;
    for (let n = 0; n < 50_000; n += 1000) {
      await engine.append(Array.from({ length: 1000 }, (_, i) => tick(NOON - 1 - n - i, hostOf(n + i))));
    }
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from events group by payload having count(*) >= 150`.execute(
      sqlOf(engine.orm),
    );
    const hourly = { window: HOUR_MS / 1000, definition: { ...byHost, max_groups: 3000 } };
    const rule = await create(aRule({ ...hourly, threshold: 10_000 }));
    await engine.judge(rule);
    assert.deepEqual(await told(rule), []);
    assert.deepEqual(await layers(rule), [[1, 50_000]]);

    // From now on nothing can be found by reading events.
    await sql`truncate events`.execute(sqlOf(engine.orm));
    engine.now += 1000;
    await engine.edit(rule, { definition: aRule({ ...hourly, threshold: 150 }).definition });
    assert.deepEqual(await ready(rule), [true, true]);
    assert.equal((await engine.evaluate(rule)).backfill, null);
    await engine.judge(rule);
    assert.deepEqual(await layers(rule), [[1, 50_000]]);
    const incidents = await told(rule);
    assert.ok(rows.length > 10, `${rows.length} groups have enough events`);
    assert.equal(incidents.length, rows.length);
    assert.ok(incidents.every(([, opened, , revision]) => opened === 1000 && revision === 2));
  });

  it('judges earlier events, while late events that come after the edit never reach the revision before', async () => {
    const rule = await create(aRule({ threshold: 3 }));
    await engine.arrive(rule, [tick(NOON), tick(NOON)]);
    engine.now += 5000;
    await engine.edit(rule, { definition: aRule({ threshold: 4 }).definition });
    // Three events in a window that ended before the edit. The last one came after the edit.
    const ids = await engine.append([tick(NOON + 1)]);
    await engine.wake(ids);
    await engine.judge(rule);
    assert.deepEqual(await told(rule), []);
    await engine.arrive(rule, [tick(NOON + 5000)]);
    assert.deepEqual(await told(rule), [['', 5000, null, 2]]);
    assert.deepEqual(await layers(rule), [
      [1, 2],
      [2, 2],
    ]);
    await engine.pass(rule, NOON + 60_000);
    assert.deepEqual(await told(rule), [['', 5000, 10_001, 2]]);
  });

  for (const [what, window] of Object.entries({ 'times are kept': 3600, 'events are read': 600 })) {
    it(`does not show later events to the revision before, which is judged only then: ${what}`, async () => {
      const definition = { allowed_lateness_seconds: 7200 };
      const rule = await create(aRule({ threshold: 3, window, definition }));
      await engine.judge(rule);
      // Enough events to be judged, but never three in one window.
      await engine.append([tick(NOON), tick(NOON + 2)]);
      engine.now = NOON + window * 1000 + 3;
      await engine.append([tick(engine.now)]);
      await engine.edit(rule, aRule({ threshold: 4, window, definition }));
      await engine.append([tick(NOON + 1), tick(NOON + 1)]);
      await engine.settle(rule);
      assert.deepEqual(await told(rule), []);
    });
  }

  it('is woken for events that the waker ignored because the group still fired under the revision before', async () => {
    const rule = await create(aRule({ threshold: 1 }));
    await engine.arrive(rule, [tick(NOON)]);
    engine.now = NOON + 20_000;
    await engine.edit(rule, { definition: aRule({ threshold: 2 }).definition });
    // The last judging of the first revision ends the incident at 10,001, after the waker saw it fire.
    await engine.wake(await engine.append([tick(NOON + 20_000), tick(NOON + 20_000)]));
    await engine.sweep(engine.now);
    await engine.judge(rule);
    assert.deepEqual(await told(rule), [
      ['', 0, 10_001, 1],
      ['', 20_000, null, 2],
    ]);
  });

  it('continues the backfill of the revision before, and counts nothing twice', async () => {
    await engine.append(Array.from({ length: 100 }, (_, n) => tick(NOON - n * 10, `h${n % 7}`)));
    const rule = await create(aRule({ threshold: 14, definition: byHost }));
    const portions = { page: 10, cells: 5, events: 20, groups: 3 };
    assert.ok(await engine.backfillAndCrash(rule, 20, portions));
    const [[, counted]] = (await layers(rule)) as [[number, number]];
    assert.ok(counted > 0 && counted < 100, `${counted} counted`);
    // Counted for the first revision, which is never ready. Nobody else notes these events for the next one.
    await engine.wake(await engine.append(Array.from({ length: 14 }, () => tick(NOON, 'new'))));
    await engine.edit(rule, { definition: aRule({ threshold: 13, definition: byHost }).definition });
    assert.deepEqual(await ready(rule), [false, false]);
    await engine.judge(rule);
    assert.deepEqual(await ready(rule), [true]);
    assert.deepEqual(
      (await layers(rule)).reduce((sum, [, n]) => sum + n!, 0),
      114,
    );
    assert.deepEqual((await told(rule)).map(([key]) => key).sort(), [
      '["h0"]',
      '["h1"]',
      '["h2"]',
      '["h3"]',
      '["h4"]',
      '["h5"]',
      '["h6"]',
      '["new"]',
    ]);
  });

  it('counts everything again if it lacks counts: other events, lateness or limit of groups, or a longer window', async () => {
    const rule = await create(aRule({ window: 30, definition: byHost }));
    await engine.judge(rule);
    const goesOn = async (change: Parameters<typeof aRule>[0]) => {
      engine.now += 1000;
      await engine.edit(rule, aRule(change));
      const [last] = (await ready(rule)).slice(-1);
      await engine.judge(rule);
      return last;
    };
    const definition = { ...byHost, for_seconds: 1, keep_firing_seconds: 1, recovery_threshold: 1 };
    assert.equal(await goesOn({ window: 30, definition }), true);
    assert.equal(await goesOn({ window: 20, definition }), true);
    assert.equal(await goesOn({ window: 30, definition }), false);
    assert.equal(await goesOn({ window: 120, definition }), false);
    assert.equal(await goesOn({ window: 60, definition }), false);
    assert.equal(await goesOn({ window: 60, definition: { ...definition, severity: 'high' } }), false);
    assert.equal(await goesOn({ window: 60, definition: { ...definition, max_groups: 5 } }), false);
    assert.equal(await goesOn({ window: 60, definition: byHost }), false);
    const late = { ...byHost, allowed_lateness_seconds: 5 };
    assert.equal(await goesOn({ window: 60, definition: late }), false);
  });

  it('counts everything again if it would read too many layers, and the old layers are removed', async () => {
    const rule = await create(aRule());
    for (let n = 1; n <= MOST_LAYERS; n++) {
      engine.now += 100;
      await engine.arrive(rule, [tick(engine.now)]);
      await engine.edit(rule, { definition: aRule({ threshold: MOST_LAYERS + n }).definition });
    }
    await engine.judge(rule);
    assert.deepEqual(await layers(rule), [[MOST_LAYERS + 1, MOST_LAYERS]]);
  });

  it('reads no layer whose counts have all been deleted', async () => {
    const rule = await create(aRule());
    for (let n = 1; n <= 3; n++) {
      await engine.arrive(rule, [tick(engine.now)]);
      await engine.edit(rule, { definition: aRule({ threshold: 3 + n }).definition });
      await engine.judge(rule);
      engine.now += DAY_MS;
      await engine.settle(rule);
      await engine.append([tick(engine.now)]);
      await trimCounts(
        engine.orm,
        () => engine.now,
        () => {},
      );
    }
    const { first_layer, revision } = await engine.version(rule, 4);
    assert.deepEqual([first_layer, revision], [3, 4]);
    assert.deepEqual(await layers(rule), [[4, 1]]);
  });

  it('keeps the layers that it reads when the revision before it is removed, until it is removed itself', async () => {
    const rule = await create(aRule());
    await engine.arrive(rule, [tick(NOON)]);
    engine.now += 1000;
    await engine.edit(rule, { definition: aRule({ threshold: 2 }).definition });
    await engine.arrive(rule, [tick(engine.now)]);
    assert.deepEqual(await ready(rule), [true]);
    assert.deepEqual(await told(rule), [['', 1000, null, 2]]);
    await engine.edit(rule, { definition: aRule({ window: 300 }).definition });
    await engine.judge(rule);
    assert.deepEqual(await layers(rule), [[3, 2]]);
  });

  it('keeps groups whose events are only in an earlier layer', async () => {
    const rule = await create(aRule({ definition: { ...byHost, max_groups: 2 } }));
    await engine.arrive(rule, [tick(NOON, 'a'), tick(NOON, 'b')]);
    await engine.edit(rule, aRule({ threshold: 2, definition: { ...byHost, max_groups: 2 } }));
    await engine.judge(rule);
    assert.equal(await forgetIdleGroups(engine.orm), 0);
  });

  it('counts everything again when events are removed, although the measure is the same', async () => {
    const rule = await create(aRule());
    await engine.arrive(rule, [tick(NOON), tick(NOON)]);
    await sql`delete from events where event_id in (select event_id from events limit 1)`.execute(
      sqlOf(engine.orm),
    );
    engine.now += 1;
    assert.deepEqual(await recountRules(engine.orm, engine.now), [rule]);
    await engine.judge(rule);
    assert.deepEqual(await layers(rule), [[2, 1]]);
  });
});
