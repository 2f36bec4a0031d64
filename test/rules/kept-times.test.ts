import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { backfill } from '../../activities/rules/backfill.ts';
import { countInBucket, newestTimes, readTimes } from '../../activities/rules/exact-times.ts';
import { sqlOf } from '../../db/orm.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { keptTimes } from '../../db/queries/rules/kept-times.ts';
import type { Event } from '../../domain/events/event.ts';
import { compileRule } from '../../domain/rules/compile.ts';
import { addKept } from '../../domain/rules/kept-times.ts';
import { windowSpecOf } from '../../domain/rules/rule.ts';
import { bucketOf } from '../../domain/rules/window.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { explaining } from '../support/touched.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const HOUR_MS = 3_600_000;

describe('the times that are kept beside counts', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const HOURLY = aRule({
    ...{ threshold: 3, window: HOUR_MS / 1000, incident_severity: 'high' },
    definition: { group_by: ['payload.host'] },
  });
  const { bucketMs } = windowSpecOf(HOURLY.definition);
  const ticks = (host: string, ...times: number[]) =>
    times.map((occurred_at) => anEvent({ occurred_at, payload: { host } }));
  const openings = async (rule: string, key: string) =>
    (await engine.incidents(rule))
      .filter(({ groupKey }) => groupKey === key)
      .map(({ openedAt }) => openedAt.getTime());

  /** The times of the stored events in order, by group and bucket. */
  async function stored(rule: string): Promise<Map<string, number[]>> {
    const { groupKey } = compileRule((await engine.version(rule, 1)).definition);
    const { rows } = await sql<{ at: number; payload: Record<string, string> }>`
      select (extract(epoch from occurred_at) * 1000)::float8 as at, payload from events order by occurred_at`.execute(
      sqlOf(engine.orm),
    );
    const times = new Map<string, number[]>();
    for (const { at, payload } of rows) {
      const key = `${groupKey(anEvent({ occurred_at: at, payload }))} ${bucketOf(at, bucketMs)}`;
      times.set(key, [...(times.get(key) ?? []), at]);
    }
    return times;
  }

  it('are those of the counted events, whether they came alone, in batches, at once, or before the rule', async () => {
    const crowd = Array.from({ length: 1000 }, (_, n) => NOON - 30_000 + ((n * 7919) % 30_000));
    await engine.append([
      ...ticks('crowded', ...crowd),
      ...crowd.flatMap((at, n) => ticks(`h${n % 9}`, at - (n % 50) * 60_000)),
    ]);
    const { id } = await createRule(engine.orm, HOURLY, NOON);
    const appends = Array.from({ length: 3 }, () => engine.newAppend());
    for (let n = 0; n < 70; n++) {
      await Promise.all(
        appends.map((append, i) => append.run(ticks('busy', NOON - n, NOON - 2 * n - i * 61_000))),
      );
    }
    await engine.append(ticks('crowded', ...crowd.map((at) => at - 1)));
    const portions = { page: 300, cells: 40, events: 500, groups: 3 };
    await backfill(engine.orm, await engine.version(id, 1), { portions });

    const expected = await stored(id);
    const wanted = [...expected.keys()].map((key) => {
      const [group_key, bucket] = key.split(' ');
      return { group_key: group_key!, bucket: Number(bucket) };
    });
    const found = await keptTimes(sqlOf(engine.orm), await engine.version(id, 1), wanted, 10_000);
    assert.equal(found.length, expected.size);
    for (const { group_key, bucket, complete, beside, firsts } of found) {
      assert.ok(complete);
      const exact: number[] = [];
      addKept(beside, bucket, exact);
      addKept(firsts, bucket, exact);
      assert.deepEqual(
        exact.toSorted((a, b) => a - b),
        expected.get(`${group_key} ${bucket}`),
        group_key,
      );
    }
    const { rows } = await sql<{ slots: number; least: number }>`
      select count(distinct slot)::int as slots, min(length(times))::int as least from window_counts
      where moved > 0 and group_key in ('["crowded"]', '["busy"]')`.execute(sqlOf(engine.orm));
    assert.ok(rows[0]!.slots >= 2, 'appends and the backfill have both moved times');

    await engine.edit(id, { definition: { ...HOURLY.definition, allowed_lateness_seconds: 1 } });
    await engine.judge(id);
    assert.deepEqual(
      (await sql`select from window_times where revision = 1`.execute(sqlOf(engine.orm))).rows,
      [],
    );
  });

  it('allow judging to the millisecond without reading events', async () => {
    const { id } = await createRule(engine.orm, HOURLY, NOON);
    await engine.judge(id);
    const others = Array.from({ length: 5000 }, (_, n) => ticks(`other-${n % 50}`, NOON + n)).flat();
    await engine.append(others);
    await engine.append(ticks('web-1', NOON + 1, NOON + 900_000, NOON + HOUR_MS + 1));
    engine.now = NOON + HOUR_MS + 1;
    const lines = { events: 'from events', counts: 'window_counts' };
    for (const [what, line] of Object.entries(lines)) {
      const { orm, touched, stop } = await explaining(engine.url, line);
      try {
        await sql`
          insert into pending_evaluations (rule_id, revision, group_key, late, from_at, to_at)
          values (${id}, 1, '["web-1"]', false, ${NOON + 1}, ${engine.now}) on conflict do nothing`.execute(
          sqlOf(engine.orm),
        );
        await engine.judge(id, orm);
      } finally {
        await stop();
      }
      const exact = touched.filter(({ text }) => what === 'events' || text.includes('window_times'));
      if (what === 'events') assert.deepEqual(exact, []);
      else {
        assert.ok(exact.length > 0, 'exact times were read');
        for (const { blocks, text } of exact) assert.ok(blocks < 100, `${blocks} blocks: ${text}`);
      }
    }
    assert.deepEqual(await openings(id, '["web-1"]'), [NOON + HOUR_MS + 1]);
  });

  it('are read only from the ends of a bucket, however many events the group has in it', async () => {
    const { id } = await createRule(engine.orm, HOURLY, NOON);
    await engine.judge(id);
    const many = Array.from({ length: 20_000 }, (_, n) => NOON + 10 + (n % 40_000));
    for (let n = 0; n < many.length; n += 4000)
      await engine.append(ticks('web-1', ...many.slice(n, n + 4000)));
    engine.now = NOON + 60_000;
    await engine.wake();
    await engine.judge(id);
    engine.now = NOON + 2 * HOUR_MS;
    await engine.sweep(engine.now);
    await engine.judge(id);
    const [incident] = await engine.incidents(id);
    assert.deepEqual(
      [incident!.openedAt.getTime(), incident!.endedAt!.getTime(), incident!.metadata.observed_count],
      [NOON + 12, NOON + 10 + 19_997 + HOUR_MS + 1, 3],
    );
    const [counts, times] = [new Map<number, number>(), new Map<number, number[]>()];
    const group = { key: '["web-1"]', buckets: [NOON], counts, times };
    await readTimes(sqlOf(engine.orm), await engine.version(id, 1), [group]);
    assert.equal(counts.get(NOON), 20_000);
    assert.ok(times.get(NOON)!.length < 15_000, `${times.get(NOON)!.length} times were read`);
  });

  it('are read up to about the threshold from each end, even if rows of times are full', async () => {
    const threshold = 20_000;
    const { id } = await createRule(engine.orm, aRule({ threshold, window: HOUR_MS / 1000 }), NOON);
    await engine.judge(id);
    // What a backfill writes for 134,400 events of one minute.
    await sql`
      with moved as (
        insert into window_times (rule_id, revision, group_key, bucket, first, last, times)
        select ${id}::uuid, 1, '', ${NOON}::bigint, r * 200, r * 200 + 199,
          string_agg((r * 200 + i % 200)::bytea, '')
        from generate_series(0, 299) r, generate_series(0, 447) i group by r
      )
      insert into window_counts (rule_id, revision, group_key, bucket, slot, n, moved, times)
      values (${id}::uuid, 1, '', ${NOON}::bigint, 32, 134400, 134400, '')`.execute(sqlOf(engine.orm));
    const [counts, times] = [new Map<number, number>(), new Map<number, number[]>()];
    const group = { key: '', buckets: [NOON], counts, times };
    await readTimes(sqlOf(engine.orm), await engine.version(id, 1), [group]);
    const found = times.get(NOON)!;
    assert.equal(counts.get(NOON), 134_400);
    assert.ok(found.length >= 2 * threshold && found.length < 2.2 * threshold, `${found.length} times`);
    assert.ok(found[threshold - 1]! <= NOON + 45 * 200 && found.at(-threshold)! >= NOON + 255 * 200);
  });

  it('give the exact observed count if a window has more events than the threshold', async () => {
    const many = Array.from({ length: 12_000 }, (_, n) => NOON - 30_000 + n * 2);
    for (let n = 0; n < many.length; n += 4000)
      await engine.append(ticks('web-1', ...many.slice(n, n + 4000)));
    const { id } = await createRule(engine.orm, HOURLY, NOON - 6000 - 1);
    engine.now = NOON;
    await engine.settle(id);
    const version = await engine.version(id, 1);
    const key = '["web-1"]';
    const bucket = bucketOf(NOON - 30_000, bucketMs);
    for (const [from, to] of [
      [NOON - 29_000, NOON - 17_001],
      [0, NOON],
      [NOON - 25_000, NOON - 25_000],
    ] as const) {
      const expected = many.filter((at) => at >= from && at <= to).length;
      const found = await countInBucket(sqlOf(engine.orm), version, key, bucket, { from, to });
      assert.equal(found, expected, `${from} to ${to}`);
    }
  });

  it('give an incident its severity without reading events of other groups', async () => {
    const { id } = await createRule(
      engine.orm,
      { ...HOURLY, incident_severity: null, definition: { ...HOURLY.definition, max_groups: 3000 } },
      NOON,
    );
    await engine.judge(id);
    const worse = (event: Event): Event => ({ ...event, severity: 'critical' });
    await engine.append(
      Array.from({ length: 5000 }, (_, n) => worse(ticks(`other-${n % 2500}`, NOON + n)[0]!)),
    );
    await engine.append(
      ticks('web-1', NOON + 1, NOON + 900_000, NOON + HOUR_MS).map((e) => ({ ...e, severity: 'low' })),
    );
    engine.now = NOON + HOUR_MS;
    const { orm, touched, stop } = await explaining(engine.url, 'from events');
    try {
      await engine.wake();
      await engine.judge(id, orm);
    } finally {
      await stop();
    }
    assert.deepEqual(
      (await engine.incidents(id)).filter(({ groupKey }) => groupKey === '["web-1"]').map((i) => i.severity),
      ['low'],
    );
    assert.ok(touched.length > 0);
    for (const { blocks, text } of touched) assert.ok(blocks < 100, `${blocks} blocks: ${text}`);
  });

  it('give the newest events up to the opening, however many came after it in the same bucket', async () => {
    const { id } = await createRule(
      engine.orm,
      {
        ...HOURLY,
        incident_severity: null,
        definition: { ...HOURLY.definition, max_groups: 9, for_seconds: 60 },
      },
      NOON,
    );
    await engine.judge(id);
    const inOrder = Array.from({ length: 3 * 4000 }, (_, n) => NOON + 60_003 + n);
    await engine.append(
      ticks('web-1', NOON, NOON + 1, NOON + 2).map((e) => ({ ...e, severity: 'critical' })),
    );
    for (let n = 0; n < inOrder.length; n += 4000)
      await engine.append(
        ticks('web-1', ...inOrder.slice(n, n + 4000)).map((e) => ({ ...e, severity: 'low' })),
      );
    engine.now = NOON + 120_000;
    await engine.settle(id);
    const [incident] = await engine.incidents(id);
    assert.equal(incident?.openedAt.getTime(), NOON + 60_002);
    assert.equal(incident?.severity, 'critical');

    const at = [NOON, NOON + 1, NOON + 2, ...inOrder];
    const version = await engine.version(id, 1);
    for (const to of [NOON + 1, NOON + 60_002, NOON + 60_010, NOON + 66_000, NOON + HOUR_MS]) {
      for (const most of [2, 50, 3000]) {
        const expected = at.filter((time) => time <= to).slice(-most);
        const found = await newestTimes(sqlOf(engine.orm), version, '["web-1"]', { from: NOON, to, most });
        assert.deepEqual(found?.toReversed(), expected, `${most} up to ${to}`);
      }
    }
  });

  const BEFORE = {
    'before they were kept at all': sql`update window_counts set times = null, moved = 0`,
    'while both releases append': sql`update window_counts set times = substring(times from 1 for 4) where n > 1`,
  };
  for (const [when, forget] of Object.entries(BEFORE)) {
    it(`are replaced by reading events if an earlier release counted (${when})`, async () => {
      const { id } = await createRule(engine.orm, HOURLY, NOON);
      await engine.judge(id);
      const other = Array.from({ length: 20 }, (_, n) => NOON + n * 1000);
      await engine.append([
        ...ticks('web-1', NOON + 1, NOON + 900_000, NOON + HOUR_MS + 1, NOON + HOUR_MS + 2),
        ...ticks('other', ...other),
      ]);
      await forget.execute(sqlOf(engine.orm));
      // Later counts do not make such a row complete.
      await engine.append(ticks('web-1', NOON + HOUR_MS + 3));
      engine.now = NOON + HOUR_MS + 3;
      await engine.settle(id);
      assert.deepEqual(await openings(id, '["web-1"]'), [NOON + HOUR_MS + 1]);
    });
  }
});
