import assert from 'node:assert/strict';
import type { Client } from '@temporalio/client';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { forgetProcesses, listeners } from '../../db/queries/rules/watermark.ts';
import { extendSpans, forgetSpans, spansWithin } from '../../db/queries/system/deaf-spans.ts';
import { beat, databaseNow } from '../../db/queries/system/heartbeat.ts';
import {
  HOLD_AFTER_GAP_MS,
  holdsOf,
  LONGEST_HOLD_MS,
  RESENT_WITHIN_MS,
} from '../../domain/rules/watermark.ts';
import type { DeafSpan } from '../../domain/system/deafness.ts';
import { Deafness } from '../../process/deafness.ts';
import { startHeartbeat } from '../../process/heartbeat.ts';
import { startSweep } from '../../workers/sweep.ts';
import { Engine } from '../support/engine.ts';
import { silent } from '../support/stage/log.ts';
import { waitFor } from '../support/wait-for.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const sender = { whose: 'key' as const, id: 'key-1', name: 'neighbour' };

describe('the deaf spans of a process', () => {
  it('begin at the last recorded heartbeat, and last until the senders had time to come back', () => {
    const deafness = new Deafness('api');
    deafness.recorded(NOON, deafness.spansAt(NOON));
    deafness.refused('buffer_full', 2_000, sender);
    assert.deepEqual(deafness.spansAt(NOON + 1_000), [
      {
        ...{ ...sender, reason: 'buffer_full', from_at: NOON, to_at: NOON + 1_000 },
        held_until: NOON + 1_000 + 2_000 + HOLD_AFTER_GAP_MS,
      },
    ]);
  });

  it('are one span while refusals continue, and a new one when they begin again later', () => {
    const deafness = new Deafness('api');
    const beatAt = (now: number) => {
      const spans = deafness.spansAt(now);
      deafness.recorded(now, spans);
      return spans;
    };
    beatAt(NOON);
    for (const at of [1_000, 2_000, 60_000]) {
      deafness.refused('buffer_full', 0, sender);
      assert.equal(beatAt(NOON + at)[0]?.from_at, NOON);
    }
    assert.deepEqual(beatAt(NOON + 61_000), [], 'nobody was refused since');
    const later = NOON + 60_000 + HOLD_AFTER_GAP_MS + RESENT_WITHIN_MS;
    beatAt(later);
    deafness.refused('buffer_full', 0, sender);
    assert.equal(beatAt(later + 1_000)[0]?.from_at, later);
  });

  it('go with the next heartbeat if one fails', () => {
    const deafness = new Deafness('api');
    deafness.recorded(NOON, []);
    deafness.refused('store_unavailable', 4_000);
    deafness.unrecorded(deafness.spansAt(NOON + 1_000));
    const [span] = deafness.spansAt(NOON + 9_000);
    assert.deepEqual([span?.from_at, span?.to_at], [NOON, NOON + 9_000]);
    assert.equal(span?.held_until, NOON + 9_000 + 4_000 + HOLD_AFTER_GAP_MS);
  });

  it('take bounded memory, whoever sends', () => {
    const deafness = new Deafness('api');
    deafness.recorded(NOON, []);
    for (let n = 0; n < 5_000; n++) {
      deafness.refused('over_rate', 0, { whose: 'key', id: `key-${n}`, name: 'many' });
    }
    const spans = deafness.spansAt(NOON + 1_000);
    assert.ok(spans.length <= 501, `${spans.length} spans`);
    assert.ok(spans.some(({ whose }) => whose === 'process'));
  });
});

describe('heartbeats and recorded deaf spans', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(Date.now());
  });
  afterEach(() => engine.stop());
  const db = () => sqlOf(engine.orm);
  const idle = { buffered: 0, inFlight: 0, oldestUnappended: null };
  const rowOf = async (id: string) => {
    const { rows } = await sql<{ beat: number; age: number; oldest: string | null }>`
      select (extract(epoch from beat_at) * 1000)::float8 as beat, oldest_unappended as oldest,
        extract(epoch from now() - beat_at)::float8 as age
      from processes where id = ${id}`.execute(db());
    return rows[0];
  };

  for (const minutes of [-60, 60]) {
    it(`use the database's clock if the process's own clock is ${minutes} min off`, async () => {
      const deafness = new Deafness('api');
      const realNow = Date.now;
      Date.now = () => realNow() + minutes * 60_000;
      const heartbeat = startHeartbeat({
        ...{ orm: engine.orm, role: 'api', log: silent },
        hearing: { load: () => idle, deafness },
      });
      try {
        const row = await waitFor(() => rowOf(deafness.process.id), { what: 'a heartbeat' });
        assert.ok(Math.abs(row.age) < 5, `${row.age} s`);
        const found = await listeners(db());
        const holds = holdsOf(found, found.now);
        assert.equal(holds.length, 1, 'it counts as alive');
        assert.ok(found.now - holds[0]!.at < 5_000);
        deafness.refused('buffer_full', 0, sender);
        const span = await waitFor(async () => (await listeners(db())).deaf[0], { what: 'the span' });
        assert.ok(Math.abs(span.to_at - found.now) < 10_000);
        assert.ok(span.from_at <= span.to_at);
      } finally {
        Date.now = realNow;
        await heartbeat.stop();
      }
    });
  }

  it('a heartbeat whose connection hung does not change what a later one wrote', async () => {
    const id = crypto.randomUUID();
    const now = await databaseNow(db());
    const given = { id, role: 'api', startedAt: now, ingests: true, deaf: [] };
    await beat(db(), { ...given, now, load: { ...idle, oldestUnappended: now - 50 } });
    await beat(db(), { ...given, now: now - 4_000, load: idle });
    const row = await rowOf(id);
    assert.equal(row?.beat, now);
    assert.ok(row?.oldest, 'what it holds is what it said last');
  });

  it('a process that was suspended has a deaf span for that time', async () => {
    const deafness = new Deafness('api');
    const hearing = { load: () => idle, deafness };
    const heartbeat = startHeartbeat({ orm: engine.orm, role: 'api', log: silent, hearing });
    await waitFor(() => rowOf(deafness.process.id), { what: 'a heartbeat' });
    // For the process the heartbeat fails, because it gets no connection.
    const pool = await engine.orm.em.getConnection().getNativeClient();
    const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()));
    const lastBeat = async () => {
      const { rows } = await clients[0]!.query<{ at: number; age: number }>(
        `select (extract(epoch from beat_at) * 1000)::float8 as at, extract(epoch from now() - beat_at)::float8 as age
        from processes`,
      );
      return rows[0]!;
    };
    const last = await waitFor(
      async () => {
        const found = await lastBeat();
        return found.age > 6 && found.at;
      },
      { what: 'a gap', everyMs: 250 },
    ).finally(() => {
      for (const client of clients) client.release();
    });
    const gap = await waitFor(
      async () => (await listeners(db())).deaf.find(({ reason }) => reason === 'gap'),
      { what: 'the gap to be on record' },
    );
    await heartbeat.stop();
    assert.equal(gap.from_at, last, 'it begins at the last beat');
    assert.ok(gap.to_at - gap.from_at > 5_000);
    assert.deepEqual([gap.whose, gap.id, gap.name], ['process', deafness.process.id, 'api']);
  });

  it('the sweep extends a recent span, and records a new one after a while', async () => {
    const now = await databaseNow(db());
    const stuck = (from_at: number, to_at: number): DeafSpan => ({
      ...{ whose: 'source', id: 'meter', name: 'meter', reason: 'stuck', held_until: null },
      ...{ from_at, to_at },
    });
    const recorded = async () => {
      const spans = await spansWithin(db(), { from: 0, to: now + 60_000, limit: 10 });
      return spans.map(({ from_at, to_at }) => [from_at - now, to_at - now]);
    };
    await extendSpans(db(), [stuck(now - 1_000_000, now - 200_000)]);
    await extendSpans(db(), [stuck(now - 960_000, now - 2_000)]);
    await extendSpans(db(), [stuck(now - 950_000, now - 1_000)]);
    await Promise.all([1, 2].map(() => extendSpans(db(), [stuck(now - 940_000, now)])));
    assert.deepEqual(await recorded(), [
      [-960_000, 0],
      [-1_000_000, -200_000],
    ]);
    await forgetSpans(db(), now - 100_000);
    assert.deepEqual(await recorded(), [[-960_000, 0]]);
  });

  it('the last process of an ingest role stays recorded until another one starts', async () => {
    const now = await databaseNow(db());
    const gone = (id: string, role: string, age: number, ingests = true) =>
      beat(db(), {
        ...{ id, role, startedAt: now - age, now: now - age, ingests, load: idle, deaf: [] },
      });
    const [older, last, rules] = [1, 2, 3].map(() => crypto.randomUUID());
    await gone(older!, 'api', 3 * LONGEST_HOLD_MS);
    await gone(last!, 'api', 2 * LONGEST_HOLD_MS);
    await gone(rules!, 'rules', 2 * LONGEST_HOLD_MS, false);
    await forgetProcesses(db());
    const left = async () =>
      (await sql<{ id: string }>`select id from processes`.execute(db())).rows.map(({ id }) => id);
    assert.deepEqual(await left(), [last]);
    const next = crypto.randomUUID();
    await gone(next, 'api', 0);
    await forgetProcesses(db());
    assert.deepEqual(await left(), [next]);
  });
});

describe('the sweep while Temporal is down', () => {
  it('advances the watermark with a thousand rules to be woken, and signals a few at a time', async () => {
    const engine = await Engine.start(Date.now());
    const db = sqlOf(engine.orm);
    let underWay = 0;
    let most = 0;
    const held: (() => void)[] = [];
    const client = {
      withDeadline: (_deadline: number, call: () => Promise<void>) => call(),
      workflow: {
        getHandle: () => ({
          async signal() {
            underWay += 1;
            most = Math.max(most, underWay);
            await new Promise<void>((resolve) => held.push(resolve));
            underWay -= 1;
            throw new Error('no answer in time');
          },
        }),
      },
    } as unknown as Client;
    await sql`
      insert into rule_versions (rule_id, revision, definition, enabled, effective_at, snapshot, counted_from, window_ms,
        bucket_ms, threshold, ready)
      select gen_random_uuid(), 1, '{}', true, now(), '1:1:', now(), 1000, 1000, 1, true from generate_series(1, 1000)`.execute(
      db,
    );
    await sql`
      insert into pending_evaluations (rule_id, revision, group_key, late, from_at, to_at, signalled_at)
      select rule_id, 1, '', false, 0, 0, now() - interval '1 minute' from rule_versions`.execute(db);
    const heartbeat = startHeartbeat({
      ...{ orm: engine.orm, role: 'api', log: silent },
      hearing: {
        load: () => ({ buffered: 0, inFlight: 0, oldestUnappended: null }),
        deafness: new Deafness('api'),
      },
    });
    const sweep = startSweep({ orm: engine.orm, client, clock: Date.now, log: silent });
    const reached = async () =>
      (await sql<{ value: number }>`select value::float8 as value from watermark`.execute(db)).rows[0]!.value;
    try {
      await waitFor(() => underWay === 16, { what: 'signals that hang' });
      const begun = await databaseNow(db);
      for (const seconds of [1, 2, 3]) {
        await waitFor(async () => (await reached()) > begun + seconds * 1000, {
          what: 'the watermark to move while they hang',
          timeoutMs: 10_000,
        });
      }
      assert.deepEqual([underWay, most], [16, 16]);
    } finally {
      const stopped = sweep.stop();
      for (const let_go of held) let_go();
      await stopped;
      await heartbeat.stop();
      await engine.stop();
    }
    assert.equal(held.length, 16, 'what waited is let go of when the sweep stops');
  });
});
