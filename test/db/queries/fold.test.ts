import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf, transaction } from '../../../db/orm.ts';
import { severityDistribution, summary, timeSeries } from '../../../db/queries/events/analytics.ts';
import { forgetEvents } from '../../../db/queries/events/retention.ts';
import { foldRollups, HOUR_MS, MINUTE_MS } from '../../../db/queries/rules/fold.ts';
import { DAY_MS, type Event } from '../../../domain/events/event.ts';
import { anEvent, Engine } from '../../support/engine.ts';
import { waitFor } from '../../support/wait-for.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const SEVERITIES = ['critical', 'high', 'low'];

describe('folding rollups', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const db = () => sqlOf(engine.orm);
  const rollups = async () =>
    (await sql<{ n: number }>`select count(*)::int as n from event_rollups`.execute(db())).rows[0]!.n;
  /**
   * Events over the two days before noon, denser towards it, so that most minutes of the last hours have
   * some.
   */
  const events = (n: number): Event[] =>
    Array.from({ length: n }, (_, i) =>
      anEvent({
        occurred_at: NOON - Math.floor(2 * DAY_MS * (i / n) ** 3),
        severity: SEVERITIES[i % 7 === 0 ? 0 : 1 + (i % 2)]!,
        event_type: `type-${i % 3}`,
      }),
    );
  const ranges = [
    {},
    { from: NOON - DAY_MS },
    { to: NOON - 90 * MINUTE_MS },
    { from: NOON - 5 * HOUR_MS, to: NOON - HOUR_MS },
    { from: NOON - 5 * HOUR_MS + MINUTE_MS, to: NOON - HOUR_MS - MINUTE_MS },
    { from: NOON - HOUR_MS - 50 * MINUTE_MS, to: NOON - HOUR_MS - 10 * MINUTE_MS },
    { from: NOON - HOUR_MS - 10 * MINUTE_MS, to: NOON - HOUR_MS + 10 * MINUTE_MS },
    { from: NOON - HOUR_MS, to: NOON - 2 * HOUR_MS },
  ];
  const within = ({ from = 0, to = Number.POSITIVE_INFINITY }: { from?: number; to?: number }) => {
    return ({ occurred_at }: Event) => occurred_at >= from && occurred_at < to;
  };
  /** Checks the analytics against the events, counted one by one. */
  const assertCounted = async (stored: readonly Event[]) => {
    assert.equal((await summary(db())).total_events, stored.length);
    for (const range of ranges) {
      const chosen = stored.filter(within(range));
      const distribution = await severityDistribution(db(), range);
      assert.deepEqual(
        Object.fromEntries(distribution.map(({ severity, count }) => [severity, count])),
        countBy(chosen, ({ severity }) => severity),
        JSON.stringify(range),
      );
      for (const step of [MINUTE_MS, 7 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, DAY_MS]) {
        const series = await timeSeries(db(), range, step);
        assert.deepEqual(
          Object.fromEntries(series.map(({ minute, count }) => [minute, count])),
          countBy(chosen, ({ occurred_at }) => occurred_at - (occurred_at % step)),
          `${JSON.stringify(range)} by ${step}`,
        );
        assert.deepEqual(
          series,
          series.toSorted((a, b) => a.minute - b.minute),
        );
      }
    }
  };

  const endFold = async () => {
    const { rows } = await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%event_totals%'`.execute(
      db(),
    );
    return rows.length > 0;
  };

  it('takes no longer if PostgreSQL’s statistics say that there are hardly any rollups', async () => {
    await sql`alter table event_rollups set (autovacuum_enabled = false)`.execute(db());
    const insert = () =>
      sql`
        insert into event_rollups
        select ${NOON}::bigint - 600000 - (i % 5000) * 60000::bigint, 'low', 'type-' || i / 5000, 0, 1
        from generate_series(0, 59999) i`.execute(db());
    await insert();
    await sql`delete from event_rollups`.execute(db());
    await sql`vacuum (analyze, truncate off) event_rollups`.execute(db());
    await insert();
    const begun = performance.now();
    assert.equal(await foldRollups(engine.orm, NOON), 60_000);
    assert.ok(performance.now() - begun < 30_000);
    assert.equal(await rollups(), 0);
  });

  it('changes no answer, in any range and step, with all, some or nothing folded', async () => {
    const stored = events(600);
    await engine.append(stored);
    await assertCounted(stored);
    assert.ok((await foldRollups(engine.orm, NOON - 3 * HOUR_MS)) > 0);
    assert.ok((await rollups()) > 0);
    await assertCounted(stored);
    await foldRollups(engine.orm, NOON + DAY_MS);
    assert.equal(await rollups(), 0);
    await assertCounted(stored);
  });

  it('leaves the last minutes to the appends that still count there', async () => {
    await engine.append([
      anEvent({ occurred_at: NOON - 2 * MINUTE_MS }),
      anEvent({ occurred_at: NOON - HOUR_MS }),
    ]);
    assert.equal(await foldRollups(engine.orm, NOON), 1);
    assert.equal(await rollups(), 1);
  });

  it('adds late events to what is folded already', async () => {
    const first = events(100);
    const late = events(100);
    await engine.append(first);
    await foldRollups(engine.orm, NOON + DAY_MS);
    await engine.append(late);
    await assertCounted([...first, ...late]);
    await foldRollups(engine.orm, NOON + DAY_MS);
    await assertCounted([...first, ...late]);
  });

  it('counts an event exactly once at any moment while appends and folds run', async () => {
    const batches = Array.from({ length: 30 }, () => events(40));
    let appended = 0;
    let going = true;
    const folding = Promise.all(
      [1, 2].map(async () => {
        while (going) await foldRollups(engine.orm, NOON + DAY_MS);
      }),
    );
    const looking = (async () => {
      let seen = 0;
      while (going) {
        const { total_events } = await summary(db());
        assert.ok(total_events >= seen, `${total_events} after ${seen}`);
        seen = total_events;
      }
    })();
    await Promise.all(
      [0, 1].map(async (lane) => {
        for (const batch of batches.filter((_, i) => i % 2 === lane)) {
          await engine.append(batch);
          appended += batch.length;
        }
      }),
    );
    going = false;
    await Promise.all([folding, looking]);
    assert.equal(appended, 1200);
    await foldRollups(engine.orm, NOON + DAY_MS);
    await assertCounted(batches.flat());
  });

  it('skips rows that an append has locked, and folds them the next time', async () => {
    const stored = events(50);
    await engine.append(stored);
    await transaction(engine.orm, async (append) => {
      await sql`update event_rollups set n = n + 1 where minute = (select min(minute) from event_rollups)`.execute(
        append,
      );
      await foldRollups(engine.orm, NOON + DAY_MS);
      assert.ok((await rollups()) > 0);
    });
    await foldRollups(engine.orm, NOON + DAY_MS);
    assert.equal(await rollups(), 0);
    assert.ok((await summary(db())).total_events > stored.length);
  });

  it('leaves counts where they were if it is interrupted', async () => {
    const stored = events(50);
    await engine.append(stored);
    const before = await rollups();
    const { fold } = await transaction(engine.orm, async (other) => {
      await sql`lock table event_totals in exclusive mode`.execute(other);
      const fold = assert.rejects(foldRollups(engine.orm, NOON + DAY_MS));
      await waitFor(endFold, { what: 'the fold to be ended' });
      return { fold };
    });
    await fold;
    assert.equal(await rollups(), before);
    await assertCounted(stored);
  });

  it('removes counts by whole days, like the partitions of events', async () => {
    const [kept, gone] = [
      anEvent({ occurred_at: NOON - DAY_MS }),
      anEvent({ occurred_at: NOON - 2 * DAY_MS }),
    ];
    await engine.append([kept, gone]);
    await foldRollups(engine.orm, NOON + DAY_MS);
    await engine.append([anEvent({ occurred_at: NOON - 2 * DAY_MS })]);
    await forgetEvents(db(), NOON - DAY_MS + HOUR_MS);
    await assertCounted([kept]);
  });
});

function countBy(events: readonly Event[], keyOf: (event: Event) => string | number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const event of events) counts[keyOf(event)] = (counts[keyOf(event)] ?? 0) + 1;
  return counts;
}
