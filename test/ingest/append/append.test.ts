import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { AppendConnections } from '../../../db/connections/append-connections.ts';
import { connect, sqlOf } from '../../../db/orm.ts';
import { claimTimes } from '../../../db/queries/events/append.ts';
import { createRule } from '../../../db/queries/rules/changes.ts';
import { DAY_MS, type Event } from '../../../domain/events/event.ts';
import { Append } from '../../../ingest/append/append.ts';
import { StoreUnavailable } from '../../../ingest/outcome.ts';
import { anEvent, aRule, Engine } from '../../support/engine.ts';
import { silent } from '../../support/stage/log.ts';
import { waitFor } from '../../support/wait-for.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

describe('an append', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const ticks = (n: number, at = NOON): Event[] =>
    Array.from({ length: n }, (_, i) => anEvent({ occurred_at: at - i, payload: { i } }));
  const total = async (what: 'count(*)' | 'sum(n)', table: string) => {
    const { rows } = await sql<{ n: number }>`
      select coalesce(${sql.raw(what)}, 0)::int as n from ${sql.table(table)}`.execute(sqlOf(engine.orm));
    return rows[0]!.n;
  };
  const stored = () => total('count(*)', 'events');
  const counted = () => total('sum(n)', 'window_counts');
  const rolledUp = () => total('sum(n)', 'event_rollups');

  /** Closes the connections that wait for a lock in such a statement. */
  const endWhoever = async (statement: string) => {
    const { rows } = await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like ${statement}`.execute(
      sqlOf(engine.orm),
    );
    return rows.length > 0;
  };

  it('stores an event once, and answers a duplicate with the stored event', async () => {
    const [event] = ticks(1);
    const again = { ...event!, severity: 'low', payload: { other: true } };
    assert.deepEqual((await engine.store([event!])).outcomes, [{ status: 'stored', event }]);
    engine.restart();
    assert.deepEqual((await engine.store([again])).outcomes, [{ status: 'duplicate', event }]);
    assert.equal(await stored(), 1);
  });

  it('stores only the first of two events with the same identity in one batch', async () => {
    const [one, two] = ticks(2);
    const { outcomes } = await engine.store([one!, two!, { ...one!, severity: 'low' }]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['stored', 'stored', 'duplicate'],
    );
    assert.equal(await stored(), 2);
  });

  it('answers in the given order, whatever the order of storing', async () => {
    const events = ticks(50);
    const { outcomes } = await engine.store(events);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status === 'stored' && outcome.event.event_id),
      events.map(({ event_id }) => event_id),
    );
  });

  it('adds only new events to counts and rollups', async () => {
    await createRule(engine.orm, aRule(), NOON);
    const events = ticks(10);
    await engine.store(events.slice(0, 6));
    await engine.store([...events, events[9]!]);
    assert.deepEqual([await stored(), await counted(), await rolledUp()], [10, 10, 10]);
  });

  it('wakes no rule for known events', async () => {
    await createRule(engine.orm, aRule(), NOON);
    const events = ticks(3);
    assert.equal((await engine.store(events)).outboxIds.length, 1);
    assert.equal((await engine.store(events)).outboxIds.length, 0);
  });

  it('stores the other events when PostgreSQL refuses one', async () => {
    await createRule(engine.orm, aRule(), NOON);
    const events = ticks(100);
    for (const i of [0, 41, 99]) events[i]!.payload = { bad: 'nul \u0000' };
    const { outcomes, outboxIds } = await engine.store(events);
    const invalid = outcomes.flatMap((outcome, i) => (outcome.status === 'invalid' ? [i] : []));
    assert.deepEqual(invalid, [0, 41, 99]);
    const refusal = outcomes[41];
    assert.ok(refusal?.status === 'invalid' && refusal.field === 'event' && refusal.reason.length > 0);
    assert.deepEqual([await stored(), await counted()], [97, 97]);
    assert.ok(outboxIds.length > 0);
  });

  it('creates the missing partition of a day', async () => {
    const events = [3, 10, 25].map((days) => anEvent({ occurred_at: NOON - days * DAY_MS }));
    const { outcomes } = await engine.store(events);
    assert.ok(outcomes.every(({ status }) => status === 'stored'));
    assert.equal(await stored(), 3);
  });

  it('also creates the partition for a count whose bucket begins the day before', async () => {
    // Buckets of 1017 ms and of half a day.
    await createRule(
      engine.orm,
      aRule({ window: 61, definition: { allowed_lateness_seconds: 864_000 } }),
      NOON,
    );
    await createRule(
      engine.orm,
      aRule({ window: 2_592_000, definition: { allowed_lateness_seconds: 864_000 } }),
      NOON,
    );
    const midnight = Math.floor(NOON / DAY_MS) * DAY_MS - 5 * DAY_MS;
    await engine.store([anEvent({ occurred_at: midnight })]);
    assert.deepEqual([await stored(), await counted()], [1, 2]);
  });

  it('stores a batch once that is sent fifty times at once, and answers all of them alike', async () => {
    await createRule(engine.orm, aRule(), NOON);
    const events = ticks(20);
    const appends = Array.from({ length: 5 }, () => engine.newAppend());
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const retry = events.map((event) => ({ ...event, payload: { retry: i } }));
        return appends[i % 5]!.run(i % 2 === 0 ? retry : retry.toReversed());
      }),
    );
    assert.deepEqual([await stored(), await counted(), await rolledUp()], [20, 20, 20]);
    const outcomes = answers.flatMap((answer) => answer.outcomes);
    assert.equal(outcomes.filter(({ status }) => status === 'stored').length, 20);
    const told = outcomes.map((outcome) =>
      outcome.status === 'invalid' ? null : `${outcome.event.event_id} ${outcome.event.payload.retry}`,
    );
    assert.equal(new Set(told).size, 20);
  });

  it('gives concurrent claims of a time the same time', async () => {
    const ids = Array.from({ length: 10 }, () => crypto.randomUUID());
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const claims = ids.map((event_id, n) => ({ event_id, occurred_at: NOON + 100 * i + n }));
        const given = i % 2 === 0 ? claims : claims.toReversed();
        const times = await claimTimes(sqlOf(engine.orm), given);
        return Object.fromEntries(given.map(({ event_id }, n) => [event_id, times[n]]));
      }),
    );
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    const [once, twice] = [NOON - 5, NOON - 9].map((occurred_at) => ({
      event_id: crypto.randomUUID(),
      occurred_at,
    }));
    const times = await claimTimes(sqlOf(engine.orm), [once!, twice!, { ...once!, occurred_at: NOON }]);
    assert.equal(times[0], times[2]);
    assert.equal(times[1], NOON - 9);
  });

  it('says that the outcome is unknown if PostgreSQL is down', async () => {
    const away = await connect('postgresql://nobody@127.0.0.1:1/nowhere', 2);
    const connections = new AppendConnections(away, 1);
    const append = new Append({ orm: away, connections, clock: () => NOON, log: silent });
    await assert.rejects(append.run(ticks(2)), StoreUnavailable);
    await connections.close();
    await away.close(true);
  });

  it('says so also if the connection breaks, and stores once what is sent again', async () => {
    const events = ticks(5);
    await engine.orm.em.fork().transactional(async (em) => {
      await em.execute('lock table event_rollups in access exclusive mode');
      const attempt = assert.rejects(engine.store(events), StoreUnavailable);
      await waitFor(() => endWhoever('%event_rollups%'), { what: 'the append to be ended' });
      await attempt;
    });
    assert.equal(await stored(), 0);
    const { outcomes } = await engine.store(events);
    assert.ok(outcomes.every(({ status }) => status === 'stored'));
  });
});
