import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf, transaction } from '../../db/orm.ts';
import { dropPartitions } from '../../db/queries/events/retention.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { forgetSettled } from '../../db/queries/rules/counts-kept.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { eventsOf, NOON, tidy } from './tidying.ts';

describe('housekeeping of counts', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  it('drops counts once no rule reaches back to them', async () => {
    const { id } = await createRule(
      engine.orm,
      aRule({ window: 86_400, definition: { allowed_lateness_seconds: 3 * 86_400 } }),
      NOON,
    );
    await engine.append(eventsOf(0, 2, 3));
    await engine.judge(id);
    assert.equal(await engine.counted(id, 1), 3);
    await tidy(engine);
    assert.equal(await engine.counted(id, 1), 3);
    engine.now += 5 * DAY_MS;
    await tidy(engine);
    assert.equal(await engine.counted(id, 1), 1);
  });

  it('keeps counts of each rule for as long as that rule needs them', async () => {
    const create = async (window: number, event_type: string) => {
      const input = aRule({ window, definition: { event_type, allowed_lateness_seconds: 5 * 86_400 } });
      return (await createRule(engine.orm, input, NOON)).id;
    };
    const [long, short, disabled] = [
      await create(6 * 86_400, 'long'),
      await create(10, 'short'),
      await create(6 * 86_400, 'disabled'),
    ];
    const events = ['long', 'short', 'disabled'].flatMap((event_type) =>
      [0, 1, 4].map((day) => anEvent({ occurred_at: NOON - day * DAY_MS, event_type })),
    );
    await engine.append(events);
    for (const id of [long, short, disabled]) await engine.judge(id);
    await engine.edit(disabled, { enabled: false });
    await tidy(engine);
    const counted = async () => Promise.all([long, short, disabled].map((id) => engine.counted(id, 1)));
    // The rule is disabled but not settled, so its counts are needed once more.
    assert.deepEqual(await counted(), [3, 3, 3]);
    await engine.judge(disabled);
    engine.now += 3 * DAY_MS;
    await tidy(engine);
    assert.deepEqual(await counted(), [3, 2, 0]);
    // What is not judged yet keeps its counts, however old they are.
    await engine.wake(await engine.append([anEvent({ occurred_at: engine.now, event_type: 'short' })]));
    await sql`
      insert into pending_evaluations (rule_id, revision, group_key, late, from_at, to_at)
      values (${short}::uuid, 1, '', false, ${engine.now}::bigint, ${engine.now}::bigint)`.execute(
      sqlOf(engine.orm),
    );
    engine.now += 9 * DAY_MS;
    await tidy(engine);
    assert.equal(await engine.counted(short, 1), 3);
    await sql`delete from pending_evaluations`.execute(sqlOf(engine.orm));
    engine.now += 2 * 3600_000;
    await tidy(engine);
    assert.equal(await engine.counted(short, 1), 0);
    assert.ok((await engine.counted(long, 1)) > 0);
  });

  it('loses no counts of a new rule with a longer window while it drops counts that others no longer need', async () => {
    const late = { occurred_at: NOON - 5 * DAY_MS };
    await engine.append([anEvent(late), anEvent(late)]);
    const input = aRule({
      window: 7 * 86_400,
      definition: { allowed_lateness_seconds: 6 * 86_400 },
    });
    let made: Promise<{ id: string }> | undefined;
    let asked = 0;
    await dropPartitions(engine.orm, 'window_counts', async () => {
      asked++;
      if (asked === 2) {
        made = createRule(engine.orm, input, NOON);
        await engine.doneOrBlocked(made);
        await engine.append([anEvent(late)]);
      }
      return NOON - DAY_MS;
    });
    const { id } = await made!;
    await engine.append([anEvent(late)]);
    await engine.judge(id);
    assert.equal(await engine.counted(id, 1), 4);
  });

  it('creates the counts partition of a day again if dropping it was interrupted', async () => {
    await engine.append(eventsOf(5, 6));
    const db = sqlOf(engine.orm);
    const nameOf = (day: number) =>
      `window_counts_${new Date(NOON - day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
    await sql.raw(`alter table window_counts detach partition ${nameOf(5)}`).execute(db);
    await sql`update pg_inherits set inhdetachpending = true where inhrelid = ${nameOf(6)}::regclass`.execute(
      db,
    );
    const { id } = await createRule(engine.orm, aRule({ window: 7 * 86_400 }), NOON);
    await engine.judge(id);
    assert.equal(await engine.counted(id, 1), 2);
  });

  it('removes settled revisions, even after a crash', async () => {
    const { id } = await createRule(engine.orm, aRule(), NOON);
    await engine.arrive(id, eventsOf(0, 0, 0));
    for (const window of [11, 12, 13]) {
      engine.now += 1000;
      await engine.edit(id, { definition: aRule({ window }).definition });
      await engine.judge(id);
    }
    assert.equal(await engine.rows('rule_versions', id), 1);
    assert.equal(await engine.counted(id, 1), 0);
    await engine.edit(id, { definition: aRule({ window: 14 }).definition });
    for (let nth = 0; nth < 3; nth++) await engine.judgeAndCrash(id, nth);
    await sql`update rule_versions set settled = true where superseded_at is not null`.execute(
      sqlOf(engine.orm),
    );
    await tidy(engine);
    assert.equal(await engine.rows('rule_versions', id), 1);
    const { rows } = await sql`select from window_counts where revision < 5`.execute(sqlOf(engine.orm));
    assert.equal(rows.length, 0);
  });

  it('skips counts that another process is deleting, and keeps the revision until they are gone', async () => {
    const { id } = await createRule(engine.orm, aRule(), NOON);
    await engine.arrive(id, eventsOf(0, 1));
    await sql`update rule_versions set settled = true where rule_id = ${id}`.execute(sqlOf(engine.orm));
    let blocked: boolean | undefined;
    await assert.rejects(
      transaction(engine.orm, async (db) => {
        await sql`delete from window_counts where bucket = ${NOON}::bigint`.execute(db);
        const forgetting = forgetSettled(engine.orm, id);
        blocked = await engine.isBlocked(forgetting);
        if (!blocked) await forgetting;
        throw new Error('the other process dies');
      }),
      /dies/,
    );
    assert.equal(blocked, false);
    assert.equal(await engine.counted(id, 1), 1);
    assert.equal(await engine.rows('rule_versions', id), 1);
    await forgetSettled(engine.orm, id);
    assert.equal(await engine.counted(id, 1), 0);
    assert.equal(await engine.rows('rule_versions', id), 0);
  });
});
