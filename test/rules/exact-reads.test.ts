import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { portions } from '../../activities/rules/weigh.ts';
import { sqlOf } from '../../db/orm.ts';
import { dayOf, ensureDay } from '../../db/partitions.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { countedEvents, loadRule } from '../../db/queries/rules/judging.ts';
import { notePending } from '../../db/queries/rules/revisions.ts';
import { DAY_MS, type Event } from '../../domain/events/event.ts';
import { windowSpecOf } from '../../domain/rules/rule.ts';
import { type Change, PAGE_BUCKETS, Walk } from '../../domain/rules/walk.ts';
import { countTests } from '../support/count-conditions.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { explaining } from '../support/touched.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('exact times at the edges of a window', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  it('are read for the requested groups only', async () => {
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
    it(`include every event of a group by ${what}, among others of its bucket`, async () => {
      const definition = { group_by: ['payload.host'] };
      const { id } = await createRule(engine.orm, aRule({ threshold: 3, window: 600, definition }), NOON);
      await engine.judge(id);
      // Three events in 600 s, but only if both edges of the window, which lie inside buckets of 10 s, are
      // included.
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
  const spec = windowSpecOf(aRule({ window: 60 }).definition);
  const horizon = { openUpTo: NOON, endUpTo: NOON };
  const groups = (...changes: Change[]) =>
    Array.from({ length: 200 }, () => ({
      walk: new Walk({ spec, tests: countTests(spec), changes, effectiveAt: null, incidents: [], horizon }),
    }));

  it('are judged a few at a time', () => {
    const now = { from: NOON - 1000, to: NOON };
    assert.deepEqual(
      portions(groups(now), spec, horizon).map((some) => some.length),
      [200],
    );
    const from = NOON - DAY_MS;
    const late = portions(groups({ from, to: from }, now), spec, horizon);
    assert.deepEqual([late.length, late[0]?.length, late.flat().length], [11, 19, 200]);
  });

  it('are read a page at a time, even if everything may have changed', () => {
    const [{ walk }] = groups({ from: NOON - DAY_MS, to: Number.POSITIVE_INFINITY }) as [{ walk: Walk }];
    const { from, to } = walk.page;
    assert.ok(to - from <= (PAGE_BUCKETS + 62) * spec.bucketMs, `${to - from}`);
  });
});

describe('a late event in a group that has counts for 100,000 later seconds', () => {
  const SECONDS = 100_000;
  let engine: Engine;
  before(async () => {
    engine = await Engine.start(NOON);
  });
  after(() => engine.stop());

  /** As if an event had come in each second before noon. */
  async function busySeconds(rule: string): Promise<void> {
    const db = sqlOf(engine.orm);
    for (let day = dayOf(NOON - SECONDS * 1000); day <= NOON; day += DAY_MS) await ensureDay(engine.orm, day);
    await sql`
      insert into window_counts (rule_id, revision, group_key, bucket, slot, n)
      select ${rule}::uuid, 1, '', ${NOON}::bigint - 1000 * s::bigint, 0, 1 from generate_series(1, ${SECONDS}::int) s`.execute(
      db,
    );
    await sql`analyze window_counts`.execute(db);
  }

  for (const { threshold, events, opened } of [
    { threshold: 13, events: 8, opened: 1 },
    { threshold: 100, events: 95, opened: 1 },
    { threshold: 100, events: 5, opened: 0 },
  ]) {
    it(`makes Tocsin read few of the counts: ${events} events, ${threshold} are needed`, async () => {
      const event_type = `${threshold}-${events}`;
      const definition = { allowed_lateness_seconds: 2 * SECONDS, event_type };
      const { id } = await createRule(engine.orm, aRule({ threshold, window: 10, definition }), NOON);
      await engine.judge(id);
      await busySeconds(id);
      await engine.sweep(NOON);
      const occurred_at = NOON - (SECONDS / 2) * 1000 + 500;
      const { orm, touched, stop } = await explaining(engine.url, 'window_counts');
      try {
        const late = Array.from({ length: events }, () => anEvent({ occurred_at, event_type }));
        await engine.wake(await engine.append(late));
        await notePending(sqlOf(orm), id, 1, [{ group_key: '', from_at: occurred_at, to_at: occurred_at }]);
        await engine.judge(id, orm);
      } finally {
        await stop();
      }
      const incidents = await engine.incidents(id);
      assert.equal(incidents.length, opened);
      assert.ok(incidents.every(({ endedAt }) => endedAt!.getTime() <= occurred_at + 10_001));
      const rows = touched.reduce((sum, statement) => sum + statement.rows, 0);
      assert.ok(touched.length > 0 && rows < 500, `${rows} rows`);
    });
  }
});
