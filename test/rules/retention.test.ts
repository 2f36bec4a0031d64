import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { createHousekeepingActivities } from '../../activities/housekeeping.ts';
import { sqlOf, transaction } from '../../db/orm.ts';
import { partitionDays } from '../../db/partitions.ts';
import { summary } from '../../db/queries/analytics.ts';
import { claimTimes } from '../../db/queries/append.ts';
import { createRule } from '../../db/queries/rule-changes.ts';
import { DAY_MS } from '../../domain/event.ts';
import { anEvent, aRule, Engine, silent } from '../support/engine.ts';
import { waitFor } from '../support/wait-for.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const TODAY = NOON - DAY_MS / 2;
const RETENTION_DAYS = 7;

describe('housekeeping', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const tidy = () =>
    createHousekeepingActivities({
      orm: engine.orm,
      client: undefined as never,
      clock: () => engine.now,
      log: silent,
      retentionDays: RETENTION_DAYS,
    }).keepPartitions();
  /** Days of a table's partitions, from today, up to ten days ahead. */
  const days = async (parent: 'events' | 'window_counts') =>
    (await partitionDays(sqlOf(engine.orm), parent))
      .map(({ day }) => (day - TODAY) / DAY_MS)
      .filter((day) => day < 10);
  const count = async (table: string) =>
    (await sql`select from ${sql.table(table)}`.execute(sqlOf(engine.orm))).rows.length;
  const eventsOf = (...ago: number[]) => ago.map((day) => anEvent({ occurred_at: NOON - day * DAY_MS }));

  it('makes partitions ahead, once', async () => {
    const { made } = await tidy();
    assert.ok(made > 0);
    for (const parent of ['events', 'window_counts'] as const) {
      assert.deepEqual(await days(parent), [-1, 0, 1, 2, 3]);
    }
    assert.deepEqual(await tidy(), { made: 0, dropped: 0 });
    engine.now += DAY_MS;
    await tidy();
    assert.equal((await days('events')).at(-1), 4);
  });

  it('drops what is past retention whole, and nothing that is not', async () => {
    const events = eventsOf(0, 6, 7, 8, 9);
    await claimTimes(sqlOf(engine.orm), events);
    await engine.append(events);
    await tidy();
    assert.deepEqual(
      (await days('events')).filter((day) => day < -1),
      [-7, -6],
    );
    assert.equal(await count('events'), 3);
    // To the millisecond, these: noon of seven days ago is just within.
    assert.equal(await count('event_ids'), 3);
    assert.equal((await summary(sqlOf(engine.orm))).total_events, 3);
  });

  it('drops counts once no rule reaches back to them', async () => {
    const { id } = await createRule(
      engine.orm,
      aRule({ window: 86_400, definition: { allowed_lateness_seconds: 3 * 86_400 } }),
      NOON,
    );
    await engine.append(eventsOf(0, 2, 3));
    assert.equal(await engine.counted(id, 1), 3);
    await tidy();
    assert.equal(await engine.counted(id, 1), 3);
    engine.now += 5 * DAY_MS;
    await tidy();
    assert.equal(await engine.counted(id, 1), 1);
  });

  it('drops a partition that a crash left detached', async () => {
    await engine.append(eventsOf(9));
    const day = new Date(NOON - 9 * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '');
    await sql.raw(`alter table events detach partition events_${day}`).execute(sqlOf(engine.orm));
    const { dropped } = await tidy();
    assert.ok(dropped > 0);
    assert.ok((await days('events')).every((day) => day >= -7));
  });

  it('goes on where a crash broke the detaching itself off', async () => {
    await engine.append(eventsOf(9));
    let broken: Promise<unknown> | undefined;
    // Detaching waits for those who read the table; killed there, it is half done.
    await transaction(engine.orm, async (db) => {
      await sql`select from events limit 1`.execute(db);
      broken = assert.rejects(tidy());
      await waitFor(
        async () => {
          const { rows } = await sql`
            select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
              and query like '%detach partition%' and pid <> pg_backend_pid() and wait_event_type = 'Lock'`.execute(
            sqlOf(engine.orm),
          );
          return rows.length > 0;
        },
        { what: 'the detaching to wait' },
      );
      await broken;
    });
    const { rows } = await sql`select from pg_inherits where inhdetachpending`.execute(sqlOf(engine.orm));
    assert.equal(rows.length, 1, 'it was not half done');
    await tidy();
    assert.ok((await days('events')).every((day) => day >= -7));
    await engine.append(eventsOf(0));
    assert.equal(await count('events'), 1);
  });

  it('forgets groups that have long been idle, so that others find a place', async () => {
    const input = aRule({ definition: { group_by: ['payload.host'], max_groups: 2 } });
    const { id } = await createRule(engine.orm, input, NOON);
    await engine.judge(id);
    const hosts = (...names: string[]) =>
      names.map((host) => anEvent({ occurred_at: engine.now, payload: { host } }));
    await engine.arrive(id, hosts('a', 'b', 'c', 'c', 'c'));
    await engine.pass(id, NOON + 60_000);
    await tidy();
    await engine.arrive(id, hosts('d', 'd', 'd'));
    const keys = async () => (await engine.incidents(id)).map(({ groupKey }) => groupKey);
    assert.deepEqual(await keys(), ['*', '*']);
    await engine.pass(id, NOON + 120_000);

    // The process that appends goes on: it must hear of it.
    engine.now += 4 * DAY_MS;
    await engine.arrive(id, hosts('b'));
    await tidy();
    await engine.arrive(id, hosts('d', 'd', 'd'));
    assert.deepEqual(await keys(), ['*', '*', '["d"]']);
    await engine.arrive(id, hosts('e', 'e', 'e'));
    assert.deepEqual((await keys()).sort(), ['*', '*', '*', '["d"]'].sort(), 'b was still counted');
  });
});
