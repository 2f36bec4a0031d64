import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { backfill } from '../../activities/rules/backfill.ts';
import { evaluate } from '../../activities/rules/evaluate.ts';
import { sqlOf } from '../../db/orm.ts';
import { dropPartitions } from '../../db/queries/events/retention.ts';
import { eventsToBackfill } from '../../db/queries/rules/backfill.ts';
import { createRule, deleteRule } from '../../db/queries/rules/changes.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import type { RuleDefinition } from '../../domain/rules/rule.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { waitFor } from '../support/wait-for.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('a new rule', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const ticks = (n: number, occurred_at: number, event_type = 'tick') =>
    Array.from({ length: n }, () => anEvent({ occurred_at, event_type }));

  it('counts events that are already in its window, including its first millisecond, and no older ones', async () => {
    await engine.append([
      ...ticks(1, NOON - 10_001),
      ...ticks(1, NOON - 10_000),
      ...ticks(4, NOON - 5000),
      ...ticks(9, NOON - 5000, 'tock'),
    ]);
    const { id } = await createRule(engine.orm, aRule({ threshold: 5 }), NOON);
    await engine.judge(id);
    assert.equal(await engine.counted(id, 1), 5);
    const [incident] = await engine.incidents(id);
    assert.equal(incident?.openedAt.getTime(), NOON - 5000);
    assert.equal(incident?.state, 'open');
    assert.deepEqual(await engine.notices(incident!.id), ['opened']);
  });

  it('adds the counts of its backfill to those of appends meanwhile', async () => {
    await engine.append(ticks(2, NOON - 1000));
    const { id } = await createRule(engine.orm, aRule(), NOON);
    await engine.wake(await engine.append(ticks(1, NOON)));
    assert.equal((await engine.incidents(id)).length, 0, 'judged before it was ready');
    await engine.judge(id);
    assert.equal((await engine.incidents(id))[0]?.openedAt.getTime(), NOON);
  });

  it('counts each event exactly once while appends run during its creation and changes', async () => {
    const appends = Array.from({ length: 3 }, () => engine.newAppend());
    let stored = 0;
    let racing = true;
    const senders = appends.map(async (append) => {
      while (racing) {
        await append.run(ticks(7, engine.now));
        stored += 7;
      }
    });
    const grown = (by: number) => {
      const from = stored;
      return waitFor(() => stored >= from + by, { what: `${by} more events`, everyMs: 1 });
    };
    await grown(20);
    const { id } = await createRule(engine.orm, aRule({ window: 600, threshold: 1_000_000 }), engine.now);
    for (let i = 0; i < 4; i++) {
      await grown(20);
      if (i % 2 === 1) await engine.judge(id);
      const { definition } = aRule({ window: 601 + i, threshold: 1_000_000 });
      await engine.edit(id, { definition });
    }
    await grown(20);
    racing = false;
    await Promise.all(senders);
    await engine.wake();
    await engine.judge(id);
    assert.equal(await engine.counted(id, 5), stored);
    for (const revision of [1, 2, 3, 4]) assert.equal(await engine.counted(id, revision), 0);
  });

  it('counts nothing twice when its backfill is interrupted and started again', async () => {
    await engine.append(ticks(5, NOON - 1000));
    const { id } = await createRule(engine.orm, aRule(), NOON);
    for (let i = 0; i < 3; i++) await engine.judgeAndCrash(id, 0);
    assert.equal(await engine.counted(id, 1), 0);
    await engine.judge(id);
    assert.equal(await engine.counted(id, 1), 5);
    assert.equal((await engine.incidents(id)).length, 1);
  });

  it('continues an interrupted backfill where it stopped, wherever that was, and counts nothing twice', async () => {
    await engine.append(Array.from({ length: 23 }, (_, i) => anEvent({ occurred_at: NOON - (i >> 2) })));
    const { id } = await createRule(engine.orm, aRule(), NOON);
    const portions = { page: 2, cells: 1, events: 4, groups: 1 };
    let crashed = true;
    let last = 0;
    for (let nth = 0; crashed; nth = (nth + 1) % 9) {
      crashed = await engine.backfillAndCrash(id, nth, portions);
      const counted = await engine.counted(id, 1);
      assert.ok(counted >= last, 'something was counted anew');
      last = counted;
    }
    assert.equal(last, 23);
    await engine.judge(id);
    assert.equal((await engine.incidents(id)).length, 1);
  });

  it('is counted once when two backfills run at the same time, one of them slow', async () => {
    await engine.append(ticks(20, NOON - 1000));
    const { id } = await createRule(engine.orm, aRule(), NOON);
    const portions = { page: 3, cells: 1, events: 3, groups: 1 };
    // The slow backfill stops after reading its second page, until the other one has counted that page and
    // more.
    let counted = 0;
    const slow = engine.hooked(async (n) => {
      if (n !== 5) return;
      await engine.backfillAndCrash(id, 9, portions);
      counted = await engine.counted(id, 1);
    });
    await backfill(slow, await engine.version(id, 1), { portions });
    assert.ok(counted > 3 && counted < 20, `${counted} were counted meanwhile`);
    assert.equal(await engine.counted(id, 1), counted);
    await engine.judge(id);
    assert.equal(await engine.counted(id, 1), 20);
  });

  it('reads pages of events along an index, without sorting, even if statistics say that there are few events', async () => {
    await engine.append(ticks(50, NOON - 1000));
    await sql`analyze events`.execute(sqlOf(engine.orm));
    const any = { event_type: null, severity: 'high' };
    for (const definition of [{}, { event_type: null }, any, { ...any, event_type: 'tick' }]) {
      const { id } = await createRule(engine.orm, aRule({ window: 86_400, definition }), NOON);
      const version = await engine.version(id, 1);
      const after = { occurred_at: NOON - 2000, event_id: '00000000-0000-4000-8000-000000000000' };
      const plan = await engine.planOf((db) => eventsToBackfill(db, version, after, 10));
      assert.doesNotMatch(plan, /Sort|Seq Scan|Bitmap/, plan);
      assert.match(plan, /ROW\(occurred_at, event_id\)|ROW\(events/, plan);
    }
  });

  it('makes appends with new groups wait only for a few groups at a time, however much it counts', async () => {
    const events = Array.from({ length: 40 }, (_, i) =>
      anEvent({ occurred_at: NOON - 1000, payload: { host: `h${i}` } }),
    );
    await engine.append(events);
    const definition = { group_by: ['payload.host'], max_groups: 30 };
    const { id } = await createRule(engine.orm, aRule({ definition }), NOON);
    const version = await engine.version(id, 1);
    const portions = { page: 100, cells: 100, events: 100, groups: 4 };
    const [admitted, waited]: [number[], boolean[]] = [[], []];
    await backfill(
      engine.hooked(async () => {
        admitted.push(await engine.rows('rule_groups', id));
        if (await engine.admits(id)) return;
        waited.push(true);
      }),
      version,
      { portions },
    );
    const steps = admitted.map((n, i) => n - (admitted[i - 1] ?? 0));
    assert.ok(Math.max(...steps) <= 4, `admitted at once: ${steps}`);
    // Eight transactions of four groups each fill the rule. No later one takes the lock, and none writes
    // counts under it.
    assert.equal(waited.length, 8);
    assert.equal(await engine.counted(id, 1), 40);
  });

  it('counts days whose partitions were dropped because no rule reached back so far', async () => {
    await engine.append(ticks(3, NOON - 5 * DAY_MS));
    await dropPartitions(engine.orm, 'window_counts', () => NOON - DAY_MS);
    const { id } = await createRule(engine.orm, aRule({ window: 7 * 86_400 }), NOON);
    await engine.judge(id);
    assert.equal(await engine.counted(id, 1), 3);
    assert.equal((await engine.incidents(id)).length, 1);
  });

  it('can be changed while its backfill runs, and does not delay events of other rules', async () => {
    await engine.append(ticks(5, NOON - 1000));
    const { id } = await createRule(engine.orm, aRule(), NOON);
    let edit: Promise<unknown> | undefined;
    await engine.judgeWith(id, async () => {
      if (edit) return;
      edit = engine.edit(id, { definition: aRule({ threshold: 4 }).definition });
      await engine.doneOrBlocked(edit);
      await engine.append(ticks(1, NOON, 'tock'));
    });
    await edit;
    await engine.append(ticks(1, NOON));
    await engine.settle(id);
    assert.equal(await engine.counted(id, 2), 6);
    const { rows } = await sql`select 1 from rule_versions where rule_id = ${id} and not settled`.execute(
      sqlOf(engine.orm),
    );
    assert.equal(rows.length, 1);
  });

  describe('if it is changed before it is ready', () => {
    const due = async (id: string) => {
      const signals = { signalIncidents: async () => {}, signalRules: async () => {} };
      return evaluate({ orm: engine.orm, clock: () => engine.now, log: engine.log, ...signals }, id);
    };
    const edited = (id: string, definition: Partial<RuleDefinition>, threshold = 3) =>
      engine.edit(id, { definition: aRule({ threshold, definition }).definition });

    it('counts for its new definition only, and misses nothing that happened meanwhile', async () => {
      const { id } = await createRule(engine.orm, aRule({ threshold: 9 }), NOON);
      await engine.append(ticks(3, NOON));
      engine.now += 60_000;
      await edited(id, {});
      assert.equal((await due(id)).backfill, 2);
      await engine.pass(id, engine.now);
      const [incident] = await engine.incidents(id);
      assert.equal(incident?.openedAt.getTime(), NOON);
      assert.equal(incident?.endedAt?.getTime(), NOON + 10_001);
      assert.equal(incident?.revision, 2);
    });

    it('keeps incidents that the revision before had opened', async () => {
      const { id } = await createRule(engine.orm, aRule(), NOON);
      await engine.judge(id);
      await engine.arrive(id, ticks(4, NOON));
      engine.now += 1000;
      await edited(id, {}, 2);
      engine.now += 1000;
      await edited(id, {}, 4);
      await engine.judge(id);
      const [incident, ...others] = await engine.incidents(id);
      assert.deepEqual(others, []);
      assert.equal(incident?.state, 'open');
      assert.equal(incident?.revision, 3);
    });

    it('can be disabled and deleted without waiting for its backfill', async () => {
      const disabled = await createRule(engine.orm, aRule(), NOON);
      await engine.edit(disabled.id, { enabled: false });
      assert.equal((await due(disabled.id)).backfill, null);
      const deleted = await createRule(engine.orm, aRule(), NOON);
      await deleteRule(engine.orm, deleted.id, engine.now);
      assert.equal((await due(deleted.id)).gone, true);
    });
  });
});
