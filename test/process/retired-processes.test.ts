import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { forgetProcesses, listeners } from '../../db/queries/rules/watermark.ts';
import { spansWithin } from '../../db/queries/system/deaf-spans.ts';
import { beat, databaseNow } from '../../db/queries/system/heartbeat.ts';
import { retireProcess } from '../../db/queries/system/retire-process.ts';
import { processStates } from '../../db/queries/system/status.ts';
import { holdsOf, LONGEST_HOLD_MS } from '../../domain/rules/watermark.ts';
import type { IngestLoad } from '../../ingest/outcome.ts';
import { Deafness } from '../../process/deafness.ts';
import { startHeartbeat } from '../../process/heartbeat.ts';
import { Engine } from '../support/engine.ts';
import { silent } from '../support/stage/log.ts';
import { waitFor } from '../support/wait-for.ts';

describe('dead processes', () => {
  let engine: Engine;
  let now: number;
  beforeEach(async () => {
    engine = await Engine.start(Date.now());
    now = await databaseNow(db());
  });
  afterEach(() => engine.stop());
  const db = () => sqlOf(engine.orm);
  const idle: IngestLoad = { buffered: 0, inFlight: 0, oldestUnappended: null };
  /** A process whose last heartbeat was so long ago. */
  const aged = async (role: string, age: number, changes: { load?: IngestLoad; ending?: boolean } = {}) => {
    const id = crypto.randomUUID();
    const startedAt = now - 3_600_000;
    await beat(db(), {
      id,
      role,
      startedAt,
      now: now - age,
      ingests: true,
      load: idle,
      deaf: [],
      ...changes,
    });
    return id;
  };
  const goneOnes = async () => {
    const found = await listeners(db());
    return holdsOf(found, found.now).flatMap(({ gone }) => gone ?? []);
  };
  const lostSpans = () => spansWithin(db(), { from: 0, to: now + 60_000, limit: 10 });
  const rowOf = async (id: string) =>
    (
      await sql<{ ended: boolean; retired: boolean }>`
        select ended_at is not null as ended, retired_at is not null as retired
        from processes where id = ${id}`.execute(db())
    ).rows[0];

  for (const [what, load, ended] of [
    ['nothing in hand', idle, true],
    ['an event that it could not store', { ...idle, buffered: 1, oldestUnappended: Date.now() }, false],
  ] as const) {
    it(`a process that stops with ${what} ${ended ? 'says' : 'does not say'} that it ended in order`, async () => {
      const deafness = new Deafness('ingest');
      const hearing = { load: () => load, deafness };
      const heartbeat = startHeartbeat({ orm: engine.orm, role: 'ingest', log: silent, hearing });
      const { id } = deafness.process;
      await waitFor(() => rowOf(id), { what: 'a heartbeat' });
      assert.equal((await rowOf(id))?.ended, false);
      await heartbeat.stop();
      assert.equal((await rowOf(id))?.ended, ended);
    });
  }

  it('the last ingest worker that ended in order is retired automatically if no producer runs', async () => {
    await aged('api', 0);
    const id = await aged('ingest', 2 * LONGEST_HOLD_MS, { ending: true });
    const running = (paused: boolean) =>
      sql`insert into producers (id, settings, paused, created_at, updated_at, appended_through)
        values ('meter', '{}', ${paused}, now(), now(), now())
        on conflict (id) do update set paused = excluded.paused`.execute(db());
    await running(false);
    assert.deepEqual(await goneOnes(), [id], 'nobody hears the producer');
    await forgetProcesses(db());
    assert.ok(await rowOf(id), 'its row holds');
    await running(true);
    assert.deepEqual(await goneOnes(), []);
    await forgetProcesses(db());
    assert.equal(await rowOf(id), undefined);
  });

  it('a vanished process holds the watermark until it is retired, and its deaf span stays', async () => {
    await aged('api', 0);
    const id = await aged('ingest', 60_000, { load: { ...idle, oldestUnappended: now - 70_000 } });
    assert.deepEqual(await goneOnes(), [id]);
    const retired = await retireProcess(engine.orm, id);
    assert.ok(retired?.retired_at && retired.retired_at >= now);
    assert.deepEqual(await goneOnes(), []);
    const [span, ...others] = await lostSpans();
    assert.deepEqual([span?.id, span?.reason, span?.from_at], [id, 'lost', now - 70_000]);
    assert.ok(span!.to_at >= now);
    assert.deepEqual(others, []);
    const listed = (await processStates(db())).map((one) => one.id);
    assert.ok(!listed.includes(id), 'it is no longer listed');
  });

  it('a live process is not retired', async () => {
    const id = await aged('ingest', 1_000);
    assert.equal((await retireProcess(engine.orm, id))?.retired_at, null);
    assert.equal((await rowOf(id))?.retired, false);
    assert.deepEqual(await lostSpans(), []);
    assert.equal(await retireProcess(engine.orm, crypto.randomUUID()), null);
  });

  it('a process that two requests retire at once is retired once', async () => {
    await aged('api', 0);
    const id = await aged('ingest', 60_000);
    const both = await Promise.all([1, 2].map(() => retireProcess(engine.orm, id)));
    assert.ok(both[0]?.retired_at);
    assert.equal(both[1]?.retired_at, both[0]?.retired_at);
    assert.equal((await lostSpans()).length, 1);
    assert.deepEqual(await retireProcess(engine.orm, id), both[0]);
  });

  it('a process that sends a heartbeat while it is retired is live', async () => {
    const id = await aged('ingest', 60_000);
    const startedAt = now - 3_600_000;
    const alive = { id, role: 'ingest', startedAt, ingests: true, load: idle, deaf: [] };
    await Promise.all([
      retireProcess(engine.orm, id),
      (async () => beat(db(), { ...alive, now: await databaseNow(db()) }))(),
    ]);
    // Whichever was first, the process continues its heartbeats and counts as live.
    await waitFor(
      async () => {
        await beat(db(), { ...alive, now: await databaseNow(db()) });
        return (await rowOf(id))?.retired === false;
      },
      { what: 'it to count' },
    );
  });

  it('a process that comes back after it was retired is live again, and was deaf in between', async () => {
    await aged('api', 0);
    const deafness = new Deafness('ingest');
    const { id } = deafness.process;
    const last = now - 60_000;
    await beat(db(), {
      ...{ id, role: 'ingest', startedAt: last, now: last, ingests: true, load: idle, deaf: [] },
    });
    deafness.recorded(last, []);
    await retireProcess(engine.orm, id);
    // A heartbeat from before the retirement, whose connection hung.
    await beat(db(), {
      ...{ id, role: 'ingest', startedAt: last, now: last + 1_000, ingests: true, load: idle, deaf: [] },
    });
    assert.equal((await rowOf(id))?.retired, true);
    assert.deepEqual(await goneOnes(), []);

    deafness.gap();
    const hearing = { load: () => idle, deafness };
    const heartbeat = startHeartbeat({ orm: engine.orm, role: 'ingest', log: silent, hearing });
    await waitFor(async () => (await rowOf(id))?.retired === false, { what: 'it to count again' });
    const found = await listeners(db());
    assert.equal(found.processes.filter((one) => one.role === 'ingest' && !one.retired).length, 1);
    const gap = found.deaf.find(({ reason }) => reason === 'gap');
    assert.equal(gap?.from_at, last);
    await heartbeat.stop();
  });

  it('rows of retired processes are removed', async () => {
    const id = await aged('ingest', 2 * LONGEST_HOLD_MS);
    await forgetProcesses(db());
    assert.ok(await rowOf(id));
    await retireProcess(engine.orm, id);
    await forgetProcesses(db());
    assert.equal(await rowOf(id), undefined);
  });
});
