import assert from 'node:assert/strict';
import { portions } from '../../activities/rules/weigh.ts';
import { sqlOf } from '../../db/orm.ts';
import { countedEvents, loadRule } from '../../db/queries/judging.ts';
import { createRule } from '../../db/queries/rule-changes.ts';
import { DAY_MS, type Event } from '../../domain/event.ts';
import { windowSpecOf } from '../../domain/rule.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('exact times at the edges of a window', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  it('bring the events of the groups asked for, and of no others', async () => {
    const group_by = ['payload.host', 'source_id'];
    const { id } = await createRule(engine.orm, aRule({ window: 3600, definition: { group_by } }), NOON);
    await engine.judge(id);
    const hosts = [...Array(300).keys()].map((n) => `other-${n}`);
    await engine.append(
      ['web-1', 'web-2', ...hosts].map((host) => anEvent({ occurred_at: NOON, payload: { host } })),
    );
    const { versions } = (await loadRule(sqlOf(engine.orm), id))!;
    const range = { from: NOON - 60_000, to: NOON + 60_000 };
    const read = async (groups: string[]) =>
      (await countedEvents(sqlOf(engine.orm), versions[0]!, [range], { groups })).length;
    assert.equal(await read(['["web-1","source"]', '["web-2","source"]']), 2);
    assert.equal(await read(['["web-1","elsewhere"]']), 0);
  });

  const payloads: Record<string, Event['payload']> = {
    text: { host: 'web-1' },
    'a number': { host: 12345678901234567890n.toString() },
    'nothing at all': {},
    null: { host: null },
    'a list': { host: ['b', { z: 1, a: 2 }] },
    'a text that is too long for a key': { host: 'é'.repeat(400) },
    'a text with quotes and backslashes': { host: '"\\\'{}[]%_' },
  };
  for (const [what, payload] of Object.entries(payloads)) {
    it(`find every event of a group by ${what}, among others of its bucket`, async () => {
      const definition = { group_by: ['payload.host'] };
      const { id } = await createRule(engine.orm, aRule({ threshold: 3, window: 600, definition }), NOON);
      await engine.judge(id);
      // Three in 600 s only if both edges of the window, inside their buckets of 10 s, are in.
      await engine.arrive(id, [
        ...[NOON + 1, NOON + 300_000, NOON + 600_001].map((occurred_at) => anEvent({ occurred_at, payload })),
        ...[1, 2, 600_000].map((ms) => anEvent({ occurred_at: NOON + ms, payload: { host: 'other', ms } })),
      ]);
      engine.now = NOON + 600_001;
      await engine.settle(id);
      const opened = (await engine.incidents(id)).filter(({ groupKey }) => groupKey !== '["other"]');
      assert.deepEqual(
        opened.map(({ openedAt }) => openedAt.getTime() - NOON),
        [600_001],
      );
    });
  }
});

describe('groups whose late events reach far back', () => {
  it('are weighed few at a time', () => {
    const spec = windowSpecOf(aRule({ window: 60 }).definition);
    const horizon = { openUpTo: NOON, endUpTo: NOON };
    const groups = (ago: number) =>
      Array.from({ length: 200 }, (_, n) => ({ key: `${n}`, from: NOON - ago, incidents: [] }));
    assert.deepEqual(
      portions(groups(1000), spec, horizon).map((some) => some.length),
      [200],
    );
    const late = portions(groups(DAY_MS), spec, horizon);
    assert.deepEqual([late.length, late[0]?.length, late.flat().length], [100, 2, 200]);
  });
});
