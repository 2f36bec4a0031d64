import assert from 'node:assert/strict';
import { MockActivityEnvironment } from '@temporalio/testing';
import { sql } from 'kysely';
import pg from 'pg';
import { createHousekeepingActivities } from '../../activities/housekeeping/index.ts';
import { type Orm, sqlOf, transaction } from '../../db/orm.ts';
import { ensureDay, partitionDays } from '../../db/partitions.ts';
import { listDeadLetters } from '../../db/queries/dead-letters/reads.ts';
import {
  insertDeadLetters,
  type NewDeadLetter,
  settleDeadLetters,
} from '../../db/queries/dead-letters/writes.ts';
import { summary } from '../../db/queries/events/analytics.ts';
import { claimTimes } from '../../db/queries/events/append.ts';
import { dropPartitions } from '../../db/queries/events/retention.ts';
import { AUDIT_DAYS, insertAudit } from '../../db/queries/keys/audit.ts';
import { insertSession } from '../../db/queries/keys/sessions.ts';
import { createRule, deleteRule } from '../../db/queries/rules/changes.ts';
import { forgetSettled } from '../../db/queries/rules/counts-kept.ts';
import { forgetIdleGroups } from '../../db/queries/rules/forget-groups.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { anEvent, aRule, Engine } from '../support/engine.ts';
import { sdkLogger } from '../support/sdk-log.ts';
import { silent } from '../support/stage/log.ts';
import { waitFor } from '../support/wait-for.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const TODAY = NOON - DAY_MS / 2;
const ID = '00000000-0000-4000-8000-000000000001';
const RETENTION_DAYS = 7;

describe('housekeeping', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const housekeeping = (orm: Orm) => {
    const activities = createHousekeepingActivities({
      orm,
      client: undefined as never,
      clock: () => engine.now,
      log: silent,
      retentionDays: RETENTION_DAYS,
      incidentRetentionDays: 20,
    });
    const environment = new MockActivityEnvironment({}, { logger: sdkLogger });
    return {
      keepPartitions: () =>
        environment.run(activities.keepPartitions) as ReturnType<typeof activities.keepPartitions>,
    };
  };
  const tidy = () => housekeeping(engine.orm).keepPartitions();
  it('ends between two steps when it is cancelled', async () => {
    const environment = new MockActivityEnvironment({}, { logger: sdkLogger });
    const beats: unknown[] = [];
    environment.on('heartbeat', (beat) => {
      beats.push(beat);
      if (beats.length === 3) environment.cancel();
    });
    const { keepPartitions } = createHousekeepingActivities({
      ...{ orm: engine.orm, client: undefined as never, clock: () => engine.now, log: silent },
      ...{ retentionDays: RETENTION_DAYS, incidentRetentionDays: 20 },
    });
    await assert.rejects(environment.run(keepPartitions), { name: 'CancelledFailure' });
    assert.equal(beats.length, 3, 'it went on');
  });

  /** The days of a table's partitions, counted from today, up to ten days ahead. */
  const days = async (parent: 'events' | 'window_counts' | 'window_times') =>
    (await partitionDays(sqlOf(engine.orm), parent))
      .map(({ day }) => (day - TODAY) / DAY_MS)
      .filter((day) => day < 10);
  const count = async (table: string) =>
    (await sql`select from ${sql.table(table)}`.execute(sqlOf(engine.orm))).rows.length;
  const eventsOf = (...ago: number[]) => ago.map((day) => anEvent({ occurred_at: NOON - day * DAY_MS }));

  it('creates partitions for the next days, once', async () => {
    const { made } = await tidy();
    assert.ok(made > 0);
    for (const parent of ['events', 'window_counts', 'window_times'] as const) {
      assert.deepEqual(await days(parent), [-1, 0, 1, 2, 3]);
    }
    assert.deepEqual(await tidy(), { made: 0, dropped: 0 });
    engine.now += DAY_MS;
    await tidy();
    assert.equal((await days('events')).at(-1), 4);
  });

  it('drops partitions that are wholly past the retention, and no others', async () => {
    const events = eventsOf(0, 6, 7, 8, 9);
    await claimTimes(sqlOf(engine.orm), events);
    await engine.append(events);
    await tidy();
    assert.deepEqual(
      (await days('events')).filter((day) => day < -1),
      [-7, -6],
    );
    assert.equal(await count('events'), 3);
    // These are exact to the millisecond: noon of seven days ago is just within.
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
    await engine.judge(id);
    assert.equal(await engine.counted(id, 1), 3);
    await tidy();
    assert.equal(await engine.counted(id, 1), 3);
    engine.now += 5 * DAY_MS;
    await tidy();
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
    await tidy();
    const counted = async () => Promise.all([long, short, disabled].map((id) => engine.counted(id, 1)));
    // The rule is disabled but not settled, so its counts are needed once more.
    assert.deepEqual(await counted(), [3, 3, 3]);
    await engine.judge(disabled);
    engine.now += 3 * DAY_MS;
    await tidy();
    assert.deepEqual(await counted(), [3, 2, 0]);
    // What is not judged yet keeps its counts, however old they are.
    await engine.wake(await engine.append([anEvent({ occurred_at: engine.now, event_type: 'short' })]));
    await sql`
      insert into pending_evaluations (rule_id, revision, group_key, late, from_at, to_at)
      values (${short}::uuid, 1, '', false, ${engine.now}::bigint, ${engine.now}::bigint)`.execute(
      sqlOf(engine.orm),
    );
    engine.now += 9 * DAY_MS;
    await tidy();
    assert.equal(await engine.counted(short, 1), 3);
    await sql`delete from pending_evaluations`.execute(sqlOf(engine.orm));
    engine.now += 2 * 3600_000;
    await tidy();
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
    await tidy();
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

  it('drops a partition that a crash left detached', async () => {
    await engine.append(eventsOf(9));
    const day = new Date(NOON - 9 * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '');
    await sql.raw(`alter table events detach partition events_${day}`).execute(sqlOf(engine.orm));
    const { dropped } = await tidy();
    assert.ok(dropped > 0);
    assert.ok((await days('events')).every((day) => day >= -7));
  });

  it('continues detaching a partition that a crash interrupted', async () => {
    await engine.append(eventsOf(9));
    let broken: Promise<unknown> | undefined;
    // Detaching waits for readers of the table. If it is killed there, it is half done.
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

  it('removes ended sessions, and audit entries after 400 days', async () => {
    const hour = 3600_000;
    const key = (hash: string, expiresAt: number) => ({ hash, keyId: ID, now: NOON - hour, expiresAt });
    await insertSession(engine.orm, key('ended', NOON - 1));
    await insertSession(engine.orm, key('open', NOON + hour));
    await createRule(engine.orm, aRule(), NOON);
    await createRule(engine.orm, aRule(), NOON);
    await sql`
      update rule_changes set at = at - interval '2 days' where version = (select min(version) from rule_changes)`.execute(
      sqlOf(engine.orm),
    );
    for (const days of [0, AUDIT_DAYS - 1, AUDIT_DAYS + 1]) {
      await insertAudit(engine.orm, {
        ...{ id: crypto.randomUUID(), at: new Date(NOON - days * DAY_MS), principal: 'ada' },
        ...{
          principalId: null,
          address: null,
          action: 'POST /alerts',
          target: '/alerts',
          detail: {},
          status: 201,
        },
      });
    }
    await tidy();
    const { rows } = await sql<{ hash: string }>`select hash from sessions`.execute(sqlOf(engine.orm));
    assert.deepEqual(rows, [{ hash: 'open' }]);
    assert.equal(await count('audit_log'), 2);
    assert.equal(await count('rule_changes'), 1);
  });

  it('removes groups that were idle for long, so that others are admitted', async () => {
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

    // The appending process is running and must learn of the change.
    engine.now += 4 * DAY_MS;
    await engine.arrive(id, hosts('b'));
    await tidy();
    await engine.arrive(id, hosts('d', 'd', 'd'));
    assert.deepEqual(await keys(), ['*', '*', '["d"]']);
    await engine.arrive(id, hosts('e', 'e', 'e'));
    assert.deepEqual((await keys()).sort(), ['*', '*', '*', '["d"]'].sort(), 'b was still counted');
  });

  it('lets appends continue and count exactly while it removes groups', async () => {
    const definition = { group_by: ['payload.host'], max_groups: 500, allowed_lateness_seconds: 0 };
    const { id } = await createRule(engine.orm, aRule({ definition }), NOON);
    await engine.judge(id);
    const names = Array.from({ length: 500 }, (_, i) => `h${i}`);
    const hosts = (some: readonly string[]) =>
      some.map((host) => anEvent({ occurred_at: engine.now, payload: { host } }));
    await engine.arrive(id, hosts(names));
    await engine.pass(id, NOON + 60_000);
    engine.now += 4 * DAY_MS;
    await sql`delete from window_counts`.execute(sqlOf(engine.orm));
    // Before each commit, another process counts for a group that it knew and for a new one.
    const other = engine.newAppend();
    await other.run(hosts(['h499']));
    let n = 0;
    const appended: string[] = [];
    await forgetIdleGroups(
      engine.hooked(async () => {
        const some = [`h${n}`, `new-${n}`];
        n++;
        const append = other.run(hosts(some));
        await engine.doneOrBlocked(append);
        void append.then(() => appended.push(...some));
      }),
    );
    await waitFor(() => appended.length === 2 * n, { what: 'the appends to be done' });
    assert.ok(n >= 5, `${n} commits`);
    const counted = await sql<{ group_key: string; known: boolean }>`
      select distinct c.group_key, g.group_key is not null as known
      from window_counts c left join rule_groups g using (rule_id, group_key)
      where c.group_key <> '*'`.execute(sqlOf(engine.orm));
    assert.deepEqual(
      counted.rows.filter(({ known }) => !known),
      [],
      'counted for, but not admitted',
    );
    assert.ok((await engine.rows('rule_groups', id)) < 50);
    const { rows } = await sql`select from rule_versions where forgetting`.execute(sqlOf(engine.orm));
    assert.equal(rows.length, 0);
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
      const { dropped } = await tidy();
      assert.ok(dropped >= 4);
      const seen = stored.length;
      await waitFor(() => stored.length > seen + 3, { what: 'events to come still' });
    } finally {
      going = false;
    }
    await Promise.all([...senders, ...readers]);
    assert.equal(await count('events'), stored.length * 3);
    assert.ok((await days('events')).every((day) => day >= -7));
  });

  it('gives up if a reader takes long, and drops the partition later', async () => {
    await engine.append(eventsOf(9));
    const reader = new pg.Client(engine.orm.config.get('clientUrl'));
    await reader.connect();
    try {
      await reader.query('begin; select from events limit 1');
      const { dropped } = await tidy();
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
    await tidy();
    assert.ok((await days('events')).every((day) => day >= -7));
  });

  it('removes dead letters that have not changed for as long as events are kept', async () => {
    const letter = (daysAgo: number): NewDeadLetter => ({
      ...{
        id: crypto.randomUUID(),
        source_id: 'source',
        kind: 'batch',
        failure: 'transient',
        reason: 'away',
      },
      ...{ field: null, content: {}, event_count: 1, created_at: NOON - daysAgo * DAY_MS, unheard: null },
    });
    const [old, settled, young] = [letter(9), letter(9), letter(6)];
    await insertDeadLetters(engine.orm, [old, settled, young]);
    await settleDeadLetters(engine.orm, {
      sourceId: 'source',
      ids: [settled.id],
      state: 'redriven',
      at: NOON - DAY_MS,
    });
    await tidy();
    const left = async () => (await listDeadLetters(engine.orm, {}, { limit: 9 })).map(({ id }) => id).sort();
    assert.deepEqual(await left(), [settled.id, young.id].sort());
    engine.now += 8 * DAY_MS;
    await tidy();
    assert.deepEqual(await left(), []);
  });

  it('removes resolved incidents with their timelines, but never the last one of a group', async () => {
    const { id } = await createRule(engine.orm, aRule({ window: 10 }), NOON);
    await engine.judge(id);
    const ticks = () => [0, 1, 2].map(() => anEvent({ occurred_at: engine.now }));
    for (let episode = 0; episode < 3; episode++) {
      await engine.arrive(id, ticks());
      await engine.pass(id, engine.now + 60_000);
    }
    const db = sqlOf(engine.orm);
    const [first, second, last] = (await engine.incidents(id)).map((incident) => incident.id);
    await sql`update notices set done = incident_id <> ${second}::uuid`.execute(db);
    const ids = async () => (await engine.incidents(id)).map((incident) => incident.id);
    await tidy();
    assert.deepEqual(await ids(), [first, second, last]);
    engine.now += 21 * DAY_MS;
    await tidy();
    assert.deepEqual(await ids(), [second, last], 'one has a notice that nobody got yet');
    for (const table of ['incident_timeline', 'notices']) {
      const { rows } = await sql`select from ${sql.table(table)} where incident_id = ${first}`.execute(db);
      assert.equal(rows.length, 0, table);
    }
    await sql`update notices set done = true`.execute(db);
    await tidy();
    assert.deepEqual(await ids(), [last]);
    await engine.arrive(id, ticks());
    const again = (await engine.incidents(id)).map((incident) => incident.id);
    assert.ok(!again.includes(first!) && !again.includes(second!), 'an id came again');

    await deleteRule(engine.orm, id, engine.now);
    await engine.judge(id);
    await sql`update notices set done = true`.execute(db);
    engine.now += 21 * DAY_MS;
    await tidy();
    assert.deepEqual(await ids(), []);
  });
});
