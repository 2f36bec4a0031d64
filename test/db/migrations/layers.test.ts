import assert from 'node:assert/strict';
import pg from 'pg';
import { connect } from '../../../db/orm.ts';
import { anEvent, aRule, Engine } from '../../support/engine.ts';
import { postgresUrl } from '../../support/servers.ts';

/** The last migration of release 0.1.0. */
const RELEASED = '20261125000004-rejections';
const NOON = Date.UTC(2026, 4, 4, 12);
const RULE = '5f6ff5ab-5e0c-4a3c-b9a7-1d2c7f7f0c11';

describe('a rule whose counts release 0.1.0 wrote', () => {
  let admin: pg.Client;
  let name: string;
  let engine: Engine;
  beforeEach(async () => {
    const server = await postgresUrl();
    admin = new pg.Client(server);
    await admin.connect();
    name = `counted_${crypto.randomUUID().slice(0, 8)}`;
    await admin.query(`create database ${name}`);
    const own = new URL(server);
    own.pathname = `/${name}`;
    const orm = await connect(own.href, 1);
    await orm.migrator.up({ to: RELEASED });
    const sql = orm.em.getConnection();
    for (const parent of ['events', 'window_counts']) {
      const bound = (day: string) => (parent === 'events' ? `'${day}Z'` : Date.parse(`${day}Z`));
      await sql.execute(`create table ${parent}_20260504 partition of ${parent}
        for values from (${bound('2026-05-04T00:00:00')}) to (${bound('2026-05-05T00:00:00')})`);
    }
    // Two events in the window of the backfill, two that an append counted, and one that was too late to be
    // counted.
    const { definition } = aRule({
      threshold: 5,
      window: 1200,
      definition: { allowed_lateness_seconds: 60 },
    });
    await sql.execute(`insert into alert_rules (id, name, enabled, definition, late, labels, annotations, revision,
      created_at, updated_at) values ('${RULE}', 'ticks', true, '${JSON.stringify(definition)}', 'notify', '{}', '{}', 1,
      to_timestamp(${NOON / 1000}), to_timestamp(${NOON / 1000}))`);
    const store = (seconds: number, receivedAfter = 0) =>
      sql.execute(`insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
        values (gen_random_uuid(), to_timestamp(${NOON / 1000 + seconds}), 'source', 'high', 'tick', '{}',
          to_timestamp(${NOON / 1000 + seconds + receivedAfter}))`);
    await store(-20);
    await store(-10);
    await sql.execute(`insert into rule_versions (rule_id, revision, definition, enabled, effective_at, snapshot,
        counted_from, window_ms, bucket_ms, threshold, ready)
      values ('${RULE}', 1, '${JSON.stringify(definition)}', true, to_timestamp(${NOON / 1000}),
        pg_current_snapshot()::text, to_timestamp(${NOON / 1000 - 1200}), 1200000, 20000, 5, true)`);
    await store(10);
    await store(11);
    await store(5, 100);
    const counts = [
      [NOON - 20_000, 32, 2],
      [NOON, 0, 2],
    ].map(([bucket, slot, n]) => `('${RULE}', 1, '', ${bucket}, ${slot}, ${n})`);
    await sql.execute(
      `insert into window_counts (rule_id, revision, group_key, bucket, slot, n) values ${counts}`,
    );
    await sql.execute(`insert into rule_groups (rule_id, group_key) values ('${RULE}', '')`);
    await orm.migrator.up();
    await orm.close(true);
    engine = await Engine.on(own.href, NOON + 12_000);
  });
  afterEach(async () => {
    await engine.stop();
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });

  const opened = async () =>
    (await engine.incidents(RULE)).map(({ openedAt, revision }) => [openedAt.getTime() - NOON, revision]);
  const edit = (threshold: number) =>
    engine.edit(RULE, {
      definition: aRule({ threshold, window: 1200, definition: { allowed_lateness_seconds: 60 } }).definition,
    });

  it('is ready at once when its threshold is edited, and judged by the old counts', async () => {
    await edit(4);
    assert.equal((await engine.evaluate(RULE)).backfill, null);
    await engine.judge(RULE);
    assert.deepEqual(await opened(), [[12_000, 2]]);
  });

  it('is counted to the millisecond, over events from before and after the upgrade', async () => {
    engine.now = NOON + 1_190_000;
    await engine.arrive(RULE, [anEvent({ occurred_at: NOON + 1_189_000 })]);
    await edit(4);
    await engine.judge(RULE);
    // [-10, 10, 11, 1189]: the event at -20 left the window at 1180.
    assert.deepEqual(await opened(), [[1_190_000, 2]]);
    await engine.pass(RULE, NOON + 1_300_000);
    const [incident] = await engine.incidents(RULE);
    assert.equal(incident?.endedAt?.getTime(), NOON + 1_190_001);
  });

  it('does not treat an event as counted that came too late', async () => {
    engine.now = NOON + 100_000;
    await edit(5);
    await engine.settle(RULE);
    await edit(4);
    await engine.settle(RULE);
    const [incident] = await engine.incidents(RULE);
    assert.equal(incident?.metadata.observed_count, 4);
  });
});
