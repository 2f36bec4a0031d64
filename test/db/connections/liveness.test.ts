import assert from 'node:assert/strict';
import { sql } from 'kysely';
import pg from 'pg';
import { AppendConnections } from '../../../db/connections/append-connections.ts';
import { withServerOptions } from '../../../db/connections/server-options.ts';
import { connect, type Orm, sqlOf, transaction } from '../../../db/orm.ts';
import { takeOutbox } from '../../../db/queries/rules/wake.ts';
import { Append } from '../../../ingest/append/append.ts';
import { Buffer } from '../../../ingest/append/buffer.ts';
import { StoreUnavailable } from '../../../ingest/outcome.ts';
import { Deafness } from '../../../process/deafness.ts';
import { startHeartbeat } from '../../../process/heartbeat.ts';
import { startSweep } from '../../../workers/sweep.ts';
import { type BlackHole, blackHole } from '../../support/black-hole.ts';
import { anEvent } from '../../support/engine.ts';
import { freshDatabase } from '../../support/servers.ts';
import { silent } from '../../support/stage/log.ts';
import { waitFor } from '../../support/wait-for.ts';

/** Silence of 3 s, two checks with their queries, and extra time for a busy machine. */
const NOTICED_WITHIN_MS = 12_000;

describe('a connection on which nothing arrives any more', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let way: BlackHole;
  let url: string;
  let orm: Orm;
  let connections: AppendConnections;
  let direct: pg.Client;
  beforeEach(async () => {
    database = await freshDatabase();
    const through = new URL(database.url);
    way = await blackHole(Number(through.port));
    through.host = `127.0.0.1:${way.port}`;
    url = through.href;
    orm = await connect(url, 3);
    connections = new AppendConnections(orm, 2);
    direct = new pg.Client(database.url);
    await direct.connect();
  });
  afterEach(async () => {
    await way.close();
    await connections.close();
    await orm.close(true);
    await direct.end();
    await database.drop();
  });

  const newBuffer = () => {
    const append = new Append({ orm, connections, clock: Date.now, log: silent });
    return new Buffer(
      (events) => append.run(events),
      () => {},
      {
        ...{ bufferEvents: 1000, appendEvents: 100, appendsInFlight: 2, besideEvents: 1 },
      },
    );
  };
  const within = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const begun = performance.now();
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    ended.catch(() => {});
    await waitFor(() => done, { what, timeoutMs: NOTICED_WITHIN_MS });
    console.log(`      ${what}: ${Math.round(performance.now() - begun)} ms`);
    return ended;
  };
  const count = async (text: string) => (await direct.query<{ n: number }>(text)).rows[0]!.n;

  it('delays appends by a few seconds, and lost events are stored by the next attempt', async () => {
    const buffer = newBuffer();
    await Promise.all([1, 2].map(() => buffer.accept([anEvent({ occurred_at: Date.now() })])));
    way.swallow();
    const events = [1, 2].map(() => anEvent({ occurred_at: Date.now() }));
    const lost = events.map((event) => assert.rejects(buffer.accept([event]), StoreUnavailable));
    await within('both appends to fail', Promise.all(lost));
    const outcomes = await within('both to be stored', buffer.accept(events));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['stored', 'stored'],
    );
    await buffer.stop();
  });

  it('counts an event once if its commit arrived and the answer was lost, however often it is sent again', async () => {
    const buffer = newBuffer();
    await direct.query(
      `insert into rule_versions (rule_id, revision, definition, enabled, effective_at, snapshot, counted_from, window_ms,
         bucket_ms, threshold, ready)
       values (gen_random_uuid(), 1, $1, true, now(), '1:1:', now() - interval '1 hour', 10000, 1000, 1, true)`,
      [
        {
          condition: { kind: 'count', threshold_count: 1, window_seconds: 10 },
          ...{ event_type: 'tick', severity: null, match: [], group_by: [], for_seconds: 0 },
          ...{
            keep_firing_seconds: 0,
            recovery_threshold: null,
            allowed_lateness_seconds: 3600,
            max_groups: 10,
          },
        },
      ],
    );
    await direct.query('update rule_set set version = version + 1');
    await buffer.accept([anEvent({ occurred_at: Date.now(), event_type: 'other' })]);
    await direct.query(`
      create function swallowed() returns trigger language plpgsql as $$
      begin perform pg_notify('outbox', ''); return null; end $$`);
    await direct.query(
      'create trigger swallowed after insert on wake_outbox for each statement execute function swallowed()',
    );
    const event = anEvent({ occurred_at: Date.now() });
    const append = new Append({
      orm,
      clock: Date.now,
      log: silent,
      connections: {
        transaction: (work) =>
          connections.transaction((inner) =>
            work({
              ...inner,
              async commit() {
                // The commit reaches PostgreSQL, but its answer is lost.
                way.swallow('answers');
                await inner.commit();
              },
            }),
          ),
      },
    });
    await within('the append to fail', assert.rejects(append.run([event]), StoreUnavailable));
    assert.equal(await count(`select count(*)::int as n from events where event_type = 'tick'`), 1);
    for (let n = 0; n < 2; n++) {
      const [again] = await buffer.accept([event]);
      assert.equal(again?.status, 'duplicate');
    }
    assert.equal(await count('select coalesce(sum(n), 0)::int as n from window_counts'), 1);
    assert.equal(
      await count('select count(*)::int as n from wake_outbox'),
      1,
      'its rule is still to be woken',
    );
    assert.equal((await takeOutbox(sqlOf(orm), null, 0)).length, 1);
    await buffer.stop();
  });

  it('delays heartbeats and the watermark by a few seconds', async () => {
    const hearing = {
      load: () => ({ buffered: 0, inFlight: 0, oldestUnappended: null }),
      deafness: new Deafness('api'),
    };
    const heartbeat = startHeartbeat({ orm, role: 'api', log: silent, hearing });
    const sweep = startSweep({ orm, client: undefined as never, clock: Date.now, log: silent });
    const moved = async () => {
      const begun = await count('select value::float8 as n from watermark');
      await waitFor(async () => (await count('select value::float8 as n from watermark')) > begun, {
        what: 'the watermark to move',
        timeoutMs: NOTICED_WITHIN_MS + 5_000,
      });
    };
    const beaten = async () => {
      const begun = await count('select max(extract(epoch from beat_at))::float8 as n from processes');
      await waitFor(
        async () =>
          (await count('select max(extract(epoch from beat_at))::float8 as n from processes')) > begun,
        { what: 'a heartbeat', timeoutMs: NOTICED_WITHIN_MS + 5_000 },
      );
    };
    await beaten();
    await moved();
    way.swallow();
    await within('the next heartbeat', beaten());
    // What was refused or lost holds the watermark. The test waits for further computations of the watermark,
    // whose value may stay.
    const looked = await count('select computed_at::float8 as n from watermark');
    await within(
      'the next look of the sweep',
      waitFor(async () => (await count('select computed_at::float8 as n from watermark')) > looked, {
        what: 'the sweep to look',
      }),
    );
    await sweep.stop();
    await heartbeat.stop();
  });

  it('makes a read and a transaction fail, and leaves their pool complete', async () => {
    await Promise.all([1, 2, 3].map(() => sql`select pg_sleep(0.1)`.execute(sqlOf(orm))));
    way.swallow();
    await within(
      'all three to fail',
      Promise.all([
        assert.rejects(sql`select 1`.execute(sqlOf(orm)), /Connection terminated/),
        assert.rejects(transaction(orm, (db) => sql`select 1`.execute(db))),
        assert.rejects(transaction(orm, (db) => sql`select 2`.execute(db))),
      ]),
    );
    await Promise.all([1, 2, 3].map(() => transaction(orm, (db) => sql`select 1`.execute(db))));
  });

  it('is distinguished from one on which PostgreSQL works for long', async () => {
    const { rows } = await sql<{ n: number }>`select 1 as n from pg_sleep(9)`.execute(sqlOf(orm));
    assert.deepEqual(rows, [{ n: 1 }]);
    assert.ok(way.made() > 2, 'it was asked after');
  });

  it('is kept for half a minute if PostgreSQL is too busy to let anyone log in', async () => {
    const busy = sql<{ n: number }>`select 1 as n from pg_sleep(16)`.execute(sqlOf(orm));
    await waitFor(() => way.made() > 1, { what: 'the first question' });
    way.swallowNew();
    assert.deepEqual((await busy).rows, [{ n: 1 }]);
    assert.ok(way.made() > 3, 'it was asked after more than once');
  });

  it('is kept if PostgreSQL does not say what it works on', async () => {
    await direct.query(`alter database ${new URL(url).pathname.slice(1)} set track_activities = off`);
    const { rows } = await sql<{ n: number }>`select 1 as n from pg_sleep(9)`.execute(sqlOf(orm));
    assert.deepEqual(rows, [{ n: 1 }]);
    assert.ok(way.made() > 2, 'it was asked after');
  });

  it('is closed by PostgreSQL too, and each statement has a time limit', async () => {
    const shown = async (db: typeof sqlOf extends (orm: Orm) => infer S ? S : never, name: string) =>
      (await sql<{ value: string }>`select current_setting(${name}) as value`.execute(db)).rows[0]!.value;
    const db = sqlOf(orm);
    assert.equal(await shown(db, 'tcp_user_timeout'), '15000');
    assert.equal(await shown(db, 'tcp_keepalives_idle'), '5');
    assert.equal(await shown(db, 'statement_timeout'), '5min');
    assert.equal(await shown(db, 'idle_in_transaction_session_timeout'), '15s');
    await connections.transaction(async ({ db: appends, commit }) => {
      assert.equal(await shown(appends, 'statement_timeout'), '10s');
      assert.equal(await shown(appends, 'tcp_user_timeout'), '15000');
      await commit();
    });
  });

  it('keeps the settings that its URL contains', async () => {
    const named = new URL(url);
    named.searchParams.set('application_name', 'somebody');
    const other = await connect(named.href, 1);
    const { rows } = await sql`select current_setting('application_name') as name`.execute(sqlOf(other));
    assert.deepEqual(rows, [{ name: 'somebody' }]);
    await other.close(true);
    const own = 'postgresql://x@y/z?options=-c%20statement_timeout%3D7s';
    const options = new URL(withServerOptions(own, { statement_timeout: '10000' })).searchParams.get(
      'options',
    );
    assert.match(options!, /^-c statement_timeout=7s -c tcp_keepalives_idle=5 /);
    assert.doesNotMatch(options!, /10000/);
  });
});
