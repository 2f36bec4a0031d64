import assert from 'node:assert/strict';
import { MockActivityEnvironment } from '@temporalio/testing';
import { sql } from 'kysely';
import pg from 'pg';
import { sqlOf, transaction } from '../../db/orm.ts';
import { ensureDay, partitionDays } from '../../db/partitions.ts';
import { summary } from '../../db/queries/events/analytics.ts';
import { claimTimes } from '../../db/queries/events/append.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { Engine } from '../support/engine.ts';
import { sdkLogger } from '../support/sdk-log.ts';
import { waitFor } from '../support/wait-for.ts';
import { count, eventsOf, NOON, tidy } from './tidying.ts';

const TODAY = NOON - DAY_MS / 2;

describe('housekeeping of partitions', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  /** The days of a table's partitions, counted from today, up to ten days ahead. */
  const days = async (parent: 'events' | 'window_counts' | 'window_times') =>
    (await partitionDays(sqlOf(engine.orm), parent))
      .map(({ day }) => (day - TODAY) / DAY_MS)
      .filter((day) => day < 10);

  it('creates partitions for the next days, once', async () => {
    const { made } = await tidy(engine);
    assert.ok(made > 0);
    for (const parent of ['events', 'window_counts', 'window_times'] as const) {
      assert.deepEqual(await days(parent), [-1, 0, 1, 2, 3]);
    }
    assert.deepEqual(await tidy(engine), { made: 0, dropped: 0 });
    engine.now += DAY_MS;
    await tidy(engine);
    assert.equal((await days('events')).at(-1), 4);
  });

  it('drops partitions that are wholly past the retention, and no others', async () => {
    const events = eventsOf(0, 6, 7, 8, 9);
    await claimTimes(sqlOf(engine.orm), events);
    await engine.append(events);
    await tidy(engine);
    assert.deepEqual(
      (await days('events')).filter((day) => day < -1),
      [-7, -6],
    );
    assert.equal(await count(engine, 'events'), 3);
    // These are exact to the millisecond: noon of seven days ago is just within.
    assert.equal(await count(engine, 'event_ids'), 3);
    assert.equal((await summary(sqlOf(engine.orm))).total_events, 3);
  });

  it('drops a partition that a crash left detached', async () => {
    await engine.append(eventsOf(9));
    const day = new Date(NOON - 9 * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '');
    await sql.raw(`alter table events detach partition events_${day}`).execute(sqlOf(engine.orm));
    const { dropped } = await tidy(engine);
    assert.ok(dropped > 0);
    assert.ok((await days('events')).every((day) => day >= -7));
  });

  it('continues detaching a partition that a crash interrupted', async () => {
    await engine.append(eventsOf(9));
    let broken: Promise<unknown> | undefined;
    // Detaching waits for readers of the table. If it is killed there, it is half done.
    await transaction(engine.orm, async (db) => {
      await sql`select from events limit 1`.execute(db);
      broken = assert.rejects(tidy(engine));
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
    await tidy(engine);
    assert.ok((await days('events')).every((day) => day >= -7));
    await engine.append(eventsOf(0));
    assert.equal(await count(engine, 'events'), 1);
  });

  it('creates and drops partitions without disturbing appends and readers', async () => {
    await engine.append(eventsOf(8, 9, 10, 11));
    let going = true;
    const stored: number[] = [];
    const senders = [0, 1].map(async () => {
      while (going) stored.push((await engine.append(eventsOf(0, 1, 6))).length);
    });
    const readers = [0, 1].map(async () => {
      while (going) await sql`select count(*) from events`.execute(sqlOf(engine.orm));
    });
    try {
      await waitFor(() => stored.length > 3, { what: 'events to come' });
      const { dropped } = await tidy(engine);
      assert.ok(dropped >= 4);
      const seen = stored.length;
      await waitFor(() => stored.length > seen + 3, { what: 'events to come still' });
    } finally {
      going = false;
    }
    await Promise.all([...senders, ...readers]);
    assert.equal(await count(engine, 'events'), stored.length * 3);
    assert.ok((await days('events')).every((day) => day >= -7));
  });

  it('gives up if a reader takes long, and drops the partition later', async () => {
    await engine.append(eventsOf(9));
    const reader = new pg.Client(engine.orm.config.get('clientUrl'));
    await reader.connect();
    try {
      await reader.query('begin; select from events limit 1');
      const { dropped } = await tidy(engine);
      assert.ok(
        (await partitionDays(sqlOf(engine.orm), 'events')).some(({ state }) => state === 'detaching'),
      );
      assert.equal(dropped, 2, 'the counts of that day and their times, which nobody reads');
      // Nobody waits for the half-done partition.
      await ensureDay(engine.orm, TODAY + 20 * DAY_MS);
      await engine.append(eventsOf(0));
    } finally {
      await reader.end();
    }
    await tidy(engine);
    assert.ok((await days('events')).every((day) => day >= -7));
  });

  it('ends between two steps when it is cancelled', async () => {
    const environment = new MockActivityEnvironment({}, { logger: sdkLogger });
    const beats: unknown[] = [];
    environment.on('heartbeat', (beat) => {
      beats.push(beat);
      if (beats.length === 3) environment.cancel();
    });
    await assert.rejects(tidy(engine, environment), { name: 'CancelledFailure' });
    assert.equal(beats.length, 3, 'it went on');
  });
});
