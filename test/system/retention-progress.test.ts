import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { sqlOf } from '../../db/orm.ts';
import { ensureDay, partitionDays } from '../../db/partitions.ts';
import { dropPartitions, forgetEvents } from '../../db/queries/events/retention.ts';
import { forgetAlerts } from '../../db/queries/received-alerts/writes.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { forgetSettled, trimCounts } from '../../db/queries/rules/counts-kept.ts';
import { forgetIdleGroups } from '../../db/queries/rules/forget-groups.ts';
import { forgetDeadLetters, forgetIncidents } from '../../db/queries/system/forget-records.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { aRule, Engine } from '../support/engine.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const OLD_DAY = NOON - DAY_MS / 2 - 5 * DAY_MS;
const OLD = new Date(OLD_DAY).toISOString();

/** A step of housekeeping with much to do, and how much of it is left. */
interface Step {
  prepare(engine: Engine): Promise<unknown>;
  run(engine: Engine, progress: () => void): Promise<unknown>;
  left: string;
  /** The heartbeat at which one part is done and another is not. */
  midway: number;
}

const fill = (engine: Engine, statement: ReturnType<typeof sql>) => statement.execute(sqlOf(engine.orm));

const counts = async (engine: Engine, rule_id: string) => {
  await ensureDay(engine.orm, OLD_DAY);
  await fill(
    engine,
    sql`insert into window_counts (rule_id, revision, group_key, bucket, slot, n)
      select ${rule_id}::uuid, 1, '', ${OLD_DAY}::bigint + 1000 * s, 0, 1 from generate_series(1, 5500) s`,
  );
  await fill(engine, sql`analyze window_counts`);
};

const STEPS: Record<string, Step> = {
  'trimming counts': {
    prepare: (engine) => counts(engine, crypto.randomUUID()),
    run: ({ orm, now }, progress) => trimCounts(orm, () => now, progress),
    left: 'window_counts',
    // After the times of the counts, of which there are none.
    midway: 3,
  },
  'removing a settled revision': {
    async prepare(engine) {
      const { id } = await createRule(engine.orm, aRule(), NOON);
      await counts(engine, id);
      await fill(engine, sql`update rule_versions set settled = true where rule_id = ${id}`);
    },
    run: ({ orm }, progress) => forgetSettled(orm, null, progress),
    left: 'window_counts',
    // After the times of the counts, of which there are none.
    midway: 3,
  },
  'dropping partitions': {
    async prepare(engine) {
      for (let day = 0; day < 4; day++) await ensureDay(engine.orm, OLD_DAY - day * DAY_MS);
    },
    run: ({ orm }, progress) => dropPartitions(orm, 'events', () => NOON, progress),
    left: 'events',
    midway: 1,
  },
  'forgetting idle groups': {
    async prepare(engine) {
      const definition = { group_by: ['payload.host'], max_groups: 600 };
      const { id } = await createRule(engine.orm, aRule({ definition }), NOON);
      await engine.judge(id);
      await fill(
        engine,
        sql`insert into rule_groups (rule_id, group_key, groups_from)
          select ${id}, '["' || n || '"]', 1 from generate_series(1, 600) n`,
      );
    },
    run: ({ orm }, progress) => forgetIdleGroups(orm, progress),
    left: 'rule_groups',
    midway: 1,
  },
  'forgetting incidents': {
    prepare: (engine) =>
      fill(
        engine,
        sql`insert into alert_incidents (id, rule_id, group_key, episode, revision, rule_name, summary, severity, state, since,
            opened_at, ended_at, recorded_at, resolved_at, resolve_reason, group_labels, labels, annotations, metadata)
          select gen_random_uuid(), gen_random_uuid(), '', 1, 1, 'gone', 'gone', 'high', 'resolved', at, at, at, at, at,
            'recovered', '{}', '{}', '{}', '{}'
          from (select ${OLD}::timestamptz as at from generate_series(1, 2500)) x`,
      ),
    run: ({ orm }, progress) => forgetIncidents(sqlOf(orm), NOON, progress),
    left: 'alert_incidents',
    midway: 1,
  },
  'forgetting dead letters': {
    prepare: (engine) =>
      fill(
        engine,
        sql`insert into dead_letters (id, source_id, kind, state, failure, reason, content, event_count, created_at, updated_at)
          select gen_random_uuid(), 'source', 'batch', 'waiting', 'refused', 'no', '{}', 1, ${OLD}, ${OLD}
          from generate_series(1, 2500)`,
      ),
    run: ({ orm }, progress) => forgetDeadLetters(sqlOf(orm), NOON, progress),
    left: 'dead_letters',
    midway: 1,
  },
  'forgetting rollups': {
    prepare: (engine) =>
      fill(
        engine,
        sql`insert into event_rollups (minute, severity, event_type, slot, n)
          select ${OLD_DAY}::bigint, 'high', n::text, 0, 1 from generate_series(1, 7000) n`,
      ),
    run: ({ orm }, progress) => forgetEvents(sqlOf(orm), NOON, progress),
    left: 'event_rollups',
    midway: 2,
  },
  'forgetting received alerts': {
    prepare: (engine) =>
      fill(
        engine,
        sql`insert into past_received_alerts
          select (jsonb_populate_record(null::past_received_alerts, to_jsonb(x))).* from (
            select gen_random_uuid() as rule_id, n::text as key, n::text as group_key, ${OLD_DAY} as starts_at,
              ${OLD_DAY} as ends_at, 'resolved' as ends, 'high' as severity, 's' as summary, '{}'::jsonb as labels,
              '{}'::jsonb as annotations, '{}'::jsonb as senders, 'api' as sender, ${OLD_DAY} as updated_at,
              'source' as source_id, 'alertmanager' as protocol
            from generate_series(1, 7000) n) x`,
      ),
    run: ({ orm }, progress) => forgetAlerts(sqlOf(orm), NOON, progress),
    left: 'past_received_alerts',
    midway: 2,
  },
};

/**
 * Long work must send heartbeats, and must stop when it is told to. Otherwise the server runs it twice at the
 * same time.
 */
describe('housekeeping that has much to do', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.start(NOON);
  });
  afterEach(() => engine.stop());

  const rows = async (table: string) =>
    table === 'events'
      ? (await partitionDays(sqlOf(engine.orm), 'events')).length
      : (await sql`select from ${sql.table(table)}`.execute(sqlOf(engine.orm))).rows.length;

  for (const [what, { prepare, run, left, midway }] of Object.entries(STEPS)) {
    it(`sends heartbeats while it works, and ends when it is cancelled: ${what}`, async () => {
      await prepare(engine);
      const before = await rows(left);
      let beats = 0;
      const cancelled = new Error('cancelled');
      const progress = () => {
        if (++beats === midway) throw cancelled;
      };
      await assert.rejects(run(engine, progress), cancelled);
      const rest = await rows(left);
      assert.ok(rest < before && rest > 0, `${rest} of ${before} are left`);
      await run(engine, () => {});
      assert.ok((await rows(left)) < rest, 'the next call did not go on');
    });
  }
});
