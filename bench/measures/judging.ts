import { pino } from 'pino';
import { backfill } from '../../activities/rules/backfill.ts';
import { evaluate } from '../../activities/rules/evaluate.ts';
import { readTimes } from '../../activities/rules/exact-times.ts';
import { connect, type Orm, sqlOf } from '../../db/orm.ts';
import { dayOf, ensureDay } from '../../db/partitions.ts';
import { createRule } from '../../db/queries/rules/changes.ts';
import { loadRule, type Version } from '../../db/queries/rules/judging.ts';
import { takeDue, takeOutbox } from '../../db/queries/rules/wake.ts';
import { advanceWatermark } from '../../db/queries/rules/watermark.ts';
import { RULE_DEFAULTS, type RuleDefinition, windowSpecOf } from '../../domain/rules/rule.ts';
import { bucketOf } from '../../domain/rules/window.ts';
import type { Bench, Figure } from '../bench.ts';
import { replaceRules } from '../rules.ts';
import { median } from '../table.ts';

const words = { late: 'notify', incident_severity: null, labels: {}, annotations: {} } as const;
const log = pino({ level: 'silent' });

/** Does what a rule's workflow does after a wake, at `now` (epoch ms). */
async function judge(orm: Orm, ruleId: string, now: number): Promise<void> {
  const signals = { signalIncidents: async () => {}, signalRules: async () => {} };
  while (true) {
    const {
      gone,
      more,
      backfill: revision,
    } = await evaluate({ orm, clock: () => now, log, ...signals }, ruleId);
    if (revision !== null) {
      const rule = await loadRule(sqlOf(orm), ruleId);
      await backfill(orm, rule!.versions.at(-1)!);
    } else if (gone || !more) return;
  }
}

async function ruleOf(orm: Orm, definition: RuleDefinition, now: number): Promise<Version> {
  const { id } = await createRule(
    orm,
    { name: 'judged', enabled: true, definition, sample: false, ...words },
    now,
  );
  await judge(orm, id, now);
  return (await loadRule(sqlOf(orm), id))!.versions[0]!;
}

/**
 * Milliseconds to wake and judge for one event that opens an incident, and for its end, with `past` earlier
 * incidents.
 */
async function wakeAndJudge({ database, quick }: Bench, orm: Orm, past: number): Promise<number> {
  const db = sqlOf(orm);
  const start = Date.now() - 1_800_000;
  const condition = { kind: 'count', threshold_count: 1, window_seconds: 1 } as const;
  const event_type = `past-${past}`;
  const { rule_id } = await ruleOf(orm, { ...RULE_DEFAULTS, condition, event_type }, start);
  await database.query(
    `insert into alert_incidents (id, rule_id, group_key, episode, revision, rule_name, summary, severity, state, since,
       opened_at, ended_at, recorded_at, resolved_at, resolve_reason, group_labels, labels, annotations, metadata)
     select gen_random_uuid(), $1, '', n, 1, 'judged', 'judged', 'high', 'resolved', at, at, at + interval '100 ms', at, at,
       'recovered', '{}', '{}', '{}', '{}'
     from (select n, to_timestamp($2::float8 - 60 - $3 + n) as at from generate_series(1, $3::int) n) x`,
    [rule_id, start / 1000, past],
  );
  await database.query('vacuum analyze alert_incidents');
  const taken: number[] = [];
  for (let n = -3; n < (quick ? 15 : 40); n++) {
    const at = start + (n + 3) * 5000;
    await database.query(
      `insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
       values (gen_random_uuid(), to_timestamp($1::float8 / 1000), 's', 'high', $2, '{}', to_timestamp($1::float8 / 1000))`,
      [at, event_type],
    );
    await database.query(`insert into window_counts values ($1, 1, '', $2, 0, 1)`, [
      rule_id,
      bucketOf(at, 1000),
    ]);
    const touched = [{ r: rule_id, v: 1, g: '', l: false, f: at, t: at }];
    await database.query('insert into wake_outbox (touched) values ($1)', [JSON.stringify(touched)]);
    const since = performance.now();
    await takeOutbox(db, null);
    await judge(orm, rule_id, at);
    const watermark = await advanceWatermark(db, at + 2000, at + 2000);
    await takeDue(db, { now: at + 2000, watermark });
    await judge(orm, rule_id, at + 2000);
    if (n >= 0) taken.push(performance.now() - since);
  }
  return median(taken);
}

/**
 * Milliseconds to read the exact times of 61 events, from a bucket of half a day that has `others` events of
 * other groups.
 */
async function exactRead({ database }: Bench, orm: Orm, others: number): Promise<number> {
  const now = Date.now();
  const event_type = `exact-${others}`;
  const condition = { kind: 'count', threshold_count: 60, window_seconds: 2_592_000 } as const;
  const group_by = ['payload.host'];
  await database.query(
    `insert into events (event_id, occurred_at, source_id, severity, event_type, payload, received_at)
     select gen_random_uuid(), at, 's', 'high', $1,
       jsonb_build_object('host', case when n > $2 then 'web-1' else 'other-' || n % 1000 end, 'value', n), at
     from (select n, to_timestamp($3::float8 / 1000) - interval '1 hour' * random() as at
       from generate_series(1, $2::int + 61) n) x`,
    [event_type, others, now],
  );
  await database.query('vacuum analyze events');
  const counted = { ...RULE_DEFAULTS, condition, event_type, group_by, max_groups: 2000 };
  const version = await ruleOf(orm, counted, now);
  const { bucketMs } = windowSpecOf(version.definition);
  const buckets = [...new Set([now - 3_600_000, now].map((at) => bucketOf(at, bucketMs)))];
  const taken: number[] = [];
  for (let n = 0; n < 6; n++) {
    const group = { key: '["web-1"]', buckets, counts: new Map(), times: new Map<number, number[]>() };
    const since = performance.now();
    await readTimes(sqlOf(orm), version, [group]);
    taken.push(performance.now() - since);
    const read = [...group.times.values()].flat().length;
    if (read !== 61) throw new Error(`${read} events read instead of 61`);
  }
  return median(taken.slice(1));
}

/**
 * How much the cost of judging grows with things that should not matter: earlier incidents of a group, and
 * events of other groups.
 */
export async function measureJudging(bench: Bench): Promise<Figure[]> {
  const [past, others] = bench.quick ? [20_000, 40_000] : [200_000, 400_000];
  await bench.database.query('truncate events, window_counts, window_times');
  await replaceRules(bench.database, 10, 0);
  const orm = await connect(bench.system.databaseUrl, 4);
  try {
    for (const at of [Date.now() - 43_200_000, Date.now()]) await ensureDay(orm, dayOf(at));
    const none = await wakeAndJudge(bench, orm, 0);
    const many = await wakeAndJudge(bench, orm, past);
    const read = await exactRead(bench, orm, others);
    const [pastText, othersText] = [past, others].map((n) => n.toLocaleString('en'));
    return [
      {
        ...{ measure: `waking and judging at ${pastText} past incidents over 0`, value: many / none },
        ...{ floor: 1.5, aim: 1.1, better: 'less', unit: '' },
        detail: `${none.toFixed(1)} ms, then ${many.toFixed(1)} ms`,
      },
      {
        ...{ measure: `exact read of 61 events beside ${othersText} of other groups`, value: read },
        ...{ floor: 100, aim: 20, better: 'less', unit: 'ms', detail: 'in one bucket of 12 h' },
      },
    ];
  } finally {
    // The generated rows must not be judged or read by later measurements.
    await bench.database.query(
      'truncate events, window_counts, window_times, wake_outbox, alert_incidents, incident_timeline, notices',
    );
    await replaceRules(bench.database, 10, 0);
    await orm.close(true);
  }
}
