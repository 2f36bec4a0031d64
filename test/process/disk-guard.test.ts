import assert from 'node:assert/strict';
import { join } from 'node:path';
import { sql } from 'kysely';
import { asFailure } from '../../activities/producers/failures.ts';
import { sqlOf } from '../../db/orm.ts';
import { clusterIdentity } from '../../db/queries/system/storage.ts';
import { HOLD_AFTER_GAP_MS } from '../../domain/rules/watermark.ts';
import type { Space } from '../../domain/system/disk.ts';
import { createIngest } from '../../ingest/ingest.ts';
import { DiskFull } from '../../ingest/outcome.ts';
import { Deafness } from '../../process/deafness.ts';
import { DiskGuard } from '../../process/disk/guard.ts';
import { diskMeasure, holdsCluster, type Measured } from '../../process/disk/space.ts';
import { anEvent, Engine } from '../support/engine.ts';
import { silent } from '../support/stage/log.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const GIB = 2 ** 30;

describe('the disk guard', () => {
  let engine: Engine;
  let space: Space | null | Error;
  let guard: DiskGuard;
  before(async () => {
    engine = await Engine.start(NOON);
  });
  after(() => engine.stop());
  beforeEach(() => {
    space = { free: 60 * GIB, total: 100 * GIB };
    guard = guardWith();
  });

  const guardWith = (deafness?: Deafness) =>
    new DiskGuard({
      measure: async (): Promise<Measured | null> => {
        if (space instanceof Error) throw space;
        return space && { ...space, knownBy: 'path' };
      },
      limits: { warnPercent: 15, refusePercent: 5 },
      clock: () => engine.now,
      log: silent,
      ...(deafness ? { deafness } : {}),
    });

  const wayIn = () =>
    createIngest({
      orm: engine.orm,
      client: undefined as never,
      clock: () => engine.now,
      log: silent,
      limits: { bufferEvents: 1000, appendEvents: 100 },
      disk: guard,
    });
  const stored = async () => (await sql`select from events`.execute(sqlOf(engine.orm))).rows.length;

  it('accepts events until the disk is full, and again once there is space', async () => {
    const ingest = wayIn();
    const send = () => ingest.accept([anEvent({ occurred_at: NOON })]);
    const before = await stored();
    await guard.look();
    await send();
    space = { free: 4 * GIB, total: 100 * GIB };
    await guard.look();
    await assert.rejects(send(), DiskFull);
    await assert.rejects(ingest.claimTimes([{ event_id: crypto.randomUUID(), occurred_at: NOON }]), DiskFull);
    assert.equal(await stored(), before + 1);
    assert.deepEqual(guard.report(), {
      ...{ state: 'full', free_bytes: 4 * GIB, total_bytes: 100 * GIB, known_by: 'path', measured_at: NOON },
    });
    space = { free: 5.5 * GIB, total: 100 * GIB };
    await guard.look();
    await assert.rejects(send(), DiskFull, 'a little more room is not enough');
    space = { free: 20 * GIB, total: 100 * GIB };
    await guard.look();
    await send();
    assert.equal(await stored(), before + 2);
    await ingest.stop();
  });

  it('is unknown before the first measurement, if nothing can be measured, and if the last one is old; then it refuses nothing', async () => {
    assert.equal(guard.report().state, 'unknown');
    guard.requireRoom();
    space = null;
    await guard.look();
    assert.equal(guard.report().state, 'unknown');
    guard.requireRoom();
    space = { free: 60 * GIB, total: 100 * GIB };
    await guard.look();
    space = new Error('the mount is gone');
    engine.now += 59_000;
    await guard.look();
    assert.equal(guard.report().state, 'ok');
    engine.now += 2_000;
    await guard.look();
    assert.deepEqual([guard.report().state, guard.report().free_bytes], ['unknown', null]);
    engine.now = NOON;
  });

  it('treats the disk as full for half a minute after PostgreSQL said so', async () => {
    const db = sqlOf(engine.orm);
    await sql`create function refuse() returns trigger language plpgsql as
      $$begin raise exception 'could not extend file' using errcode = '53100'; end$$`.execute(db);
    await sql`create trigger full_disk before insert on events for each row execute function refuse()`.execute(
      db,
    );
    const ingest = wayIn();
    const send = () => ingest.accept([anEvent({ occurred_at: NOON })]);
    const before = await stored();
    await assert.rejects(send(), DiskFull);
    assert.equal(guard.report().state, 'full');
    await sql`drop trigger full_disk on events`.execute(db);
    await assert.rejects(send(), DiskFull, 'it is not asked again at once');
    assert.equal(await stored(), before);
    engine.now += 31_000;
    await send();
    assert.equal(await stored(), before + 1);
    engine.now = NOON;
    await ingest.stop();
  });

  it('records each refusal as a deaf span, whether it was known before or PostgreSQL reported it', async () => {
    const deafness = new Deafness('api');
    const asked = guardWith(deafness);
    space = { free: 4 * GIB, total: 100 * GIB };
    await asked.look();
    assert.deepEqual(deafness.spansAt(NOON), [], 'nobody was refused: silence is silence');
    assert.throws(() => asked.requireRoom(), DiskFull);
    const [before] = deafness.spansAt(NOON);
    assert.deepEqual(
      [before?.reason, before?.whose, before?.name, before?.held_until],
      ['disk_full', 'process', 'api', NOON + 30_000 + HOLD_AFTER_GAP_MS],
    );
    space = { free: 60 * GIB, total: 100 * GIB };
    await asked.look();
    const full = Object.assign(new Error('could not extend file'), { code: '53100' });
    await assert.rejects(
      asked.withRoom(() => Promise.reject(full)),
      DiskFull,
    );
    assert.equal(deafness.spansAt(NOON + 60_000)[0]?.to_at, NOON + 60_000);
  });

  it('makes producers retry later, like a full buffer', () => {
    const failure = asFailure(new DiskFull(30));
    assert.deepEqual(
      [failure.type, failure.nonRetryable, failure.nextRetryDelay],
      ['transient', false, 30_000],
    );
  });

  it('measures repeatedly until it is stopped', async () => {
    let looks = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const started = new DiskGuard({
      measure: async () => {
        looks += 1;
        if (looks === 3) resolve();
        return null;
      },
      limits: { warnPercent: 15, refusePercent: 5 },
      clock: Date.now,
      log: silent,
    }).start(1);
    await promise;
    await started.stop();
  });
});

describe('the free space of the disk', () => {
  let engine: Engine;
  let directory: string;
  before(async () => {
    engine = await Engine.start(NOON);
    const { rows } = await sql<{ at: string }>`select current_setting('data_directory') as at`.execute(
      sqlOf(engine.orm),
    );
    directory = rows[0]!.at;
  });
  after(() => engine.stop());

  const blocks = (bavail: number) => ({ bsize: 4096, blocks: 1000, bfree: bavail + 100, bavail });

  it('is that of the data directory or of its WAL, whichever is less', async () => {
    const asked: string[] = [];
    const rooms = { data: 500, wal: 400 };
    const measure = diskMeasure({
      orm: engine.orm,
      stat: async (path) => {
        asked.push(path);
        return blocks(path === directory ? rooms.data : rooms.wal);
      },
    });
    const total = 900 * 4096;
    assert.deepEqual(await measure(), { free: 400 * 4096, total, knownBy: 'data directory' });
    rooms.data = 300;
    assert.deepEqual(await measure(), { free: 300 * 4096, total, knownBy: 'data directory' });
    assert.deepEqual(new Set(asked), new Set([directory, join(directory, 'pg_wal')]));
  });

  it('is measured if PostgreSQL runs on this machine', async () => {
    const measured = await diskMeasure({ orm: engine.orm })();
    assert.equal(measured?.knownBy, 'data directory');
    assert.ok(measured.free > 0 && measured.free < measured.total);
  });

  it('is not measured in a directory of another cluster or of another machine', async () => {
    const { identifier } = await clusterIdentity(sqlOf(engine.orm));
    assert.ok(await holdsCluster(directory, identifier));
    assert.ok(!(await holdsCluster(directory, '42')));
    assert.ok(!(await holdsCluster('/nowhere', identifier)));
  });

  it('is measured at a path, if one is given', async () => {
    const measure = diskMeasure({ orm: engine.orm, path: '/events', stat: async () => blocks(7) });
    assert.deepEqual(await measure(), { free: 7 * 4096, total: 900 * 4096, knownBy: 'path' });
  });

  it('is the rest of a quota, if one is given', async () => {
    const measured = await diskMeasure({ orm: engine.orm, quota: 1024 * GIB })();
    assert.equal(measured?.total, 1024 * GIB);
    assert.ok(measured.free < 1024 * GIB - 2 ** 24, 'the WAL alone takes 16 MiB');
    assert.equal((await diskMeasure({ orm: engine.orm, quota: 1 })())?.free, 0);
  });
});
