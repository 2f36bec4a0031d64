import type { Client } from '@temporalio/client';
import { Gauge, type Registry } from 'prom-client';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { wedgedOf } from '../../db/queries/system/housekeeping-rounds.ts';
import { readSystem, type SystemReading } from '../../db/queries/system/metrics.ts';
import { QUIET_AFTER_MS } from '../../domain/rules/watermark.ts';
import { WORKER_ROLES } from '../../workflows/queues.ts';
import { readBacklog } from './backlog.ts';
import { PATIENCE_MS, sharedLook } from './shared-look.ts';

/** How long a result from the database is used for further scrapes, in milliseconds. */
const DATABASE_FRESH_MS = 5_000;
const TEMPORAL_FRESH_MS = 10_000;

/** Roles that should have a process. If one has none, its metric is 0 instead of absent. */
const ROLES: readonly string[] = ['api', ...WORKER_ROLES.filter((role) => role !== 'all')];

type Samples = readonly (readonly [labels: Record<string, string>, value: number | null])[];

/**
 * Exports the state of the whole system from PostgreSQL and Temporal. Every API process exports the same.
 * Values that cannot be read are absent rather than old; `tocsin_up` says why.
 */
export function watchSystem(registry: Registry, { orm, client }: { orm: Orm; client: Client }): void {
  const database = sharedLook(() => readSystem(sqlOf(orm)), DATABASE_FRESH_MS);
  const temporal = sharedLook(() => readBacklog(client, PATIENCE_MS), TEMPORAL_FRESH_MS);

  const gauge = (name: string, help: string, labelNames: string[], look: () => Promise<Samples>) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const samples = await look();
        this.reset();
        if (labelNames.length === 0) this.remove();
        for (const [labels, value] of samples) if (value !== null) this.set(labels, value);
      },
    });
  const read = (
    name: string,
    help: string,
    labelNames: string[],
    samples: (found: SystemReading) => Samples,
  ) =>
    gauge(name, help, labelNames, async () => {
      const found = await database();
      return found ? samples(found) : [];
    });

  gauge('tocsin_up', '1 if the component answers', ['component'], async () => {
    const [rows, tasks] = await Promise.all([database(), temporal()]);
    return [
      [{ component: 'postgres' }, rows ? 1 : 0],
      [{ component: 'temporal' }, tasks ? 1 : 0],
    ];
  });
  gauge(
    'tocsin_task_queue_backlog',
    'Approximate number of tasks that wait for a worker',
    ['queue', 'kind'],
    async () => ((await temporal()) ?? []).map(({ queue, kind, tasks }) => [{ queue, kind }, tasks]),
  );

  read('tocsin_incidents', 'Incidents that are not resolved', ['state'], ({ state }) => [
    [{ state: 'open' }, state.incidents_open],
    [{ state: 'acknowledged' }, state.incidents_acknowledged],
  ]);
  read('tocsin_dead_letters', 'Dead letters on record', ['state'], ({ dead_letters }) => {
    const counts = new Map(dead_letters.map(({ state, n }) => [state, n]));
    return ['waiting', 'redriven', 'discarded'].map((state) => [{ state }, counts.get(state) ?? 0]);
  });
  read('tocsin_waiting', 'Wakes, evaluations and notices that wait', ['what'], ({ state }) => [
    [{ what: 'wakes' }, state.outbox],
    [{ what: 'evaluations' }, state.evaluations],
    [{ what: 'notices' }, state.notices],
    [{ what: 'rules' }, state.rules_not_ready],
  ]);
  read('tocsin_failing_groups', 'Groups of rules that cannot be judged', [], ({ state }) => [
    [{}, state.groups_failing],
  ]);
  read(
    'tocsin_waiting_seconds',
    'How long the oldest wake, evaluation or notice has waited',
    ['what'],
    ({ state }) => [
      [{ what: 'wakes' }, Math.max(0, state.outbox_age ?? 0)],
      [{ what: 'evaluations' }, Math.max(0, state.evaluations_age ?? 0)],
      [{ what: 'notices' }, Math.max(0, state.notices_age ?? 0)],
    ],
  );
  read('tocsin_watermark_lag_seconds', 'How far the watermark is behind the clock', [], ({ state }) => [
    [{}, state.watermark === 0 ? null : Math.max(0, (state.now - state.watermark) / 1000)],
  ]);
  read('tocsin_processes', 'Live processes', ['role'], ({ state, processes }) => {
    const alive = new Map(ROLES.map((role) => [role, 0]));
    for (const { role, beat_at, ended } of processes) {
      alive.set(role, (alive.get(role) ?? 0) + (!ended && state.now - beat_at <= QUIET_AFTER_MS ? 1 : 0));
    }
    return [...alive].map(([role, n]) => [{ role }, n]);
  });
  read(
    'tocsin_deaf_spans',
    'Deaf spans that overlap the last hour; each belongs to one sender, producer or process',
    ['reason'],
    ({ deaf }) => deaf.map(({ reason, spans }) => [{ reason }, spans]),
  );
  read(
    'tocsin_deaf_seconds',
    'Seconds of the last hour that lie in deaf spans with this reason',
    ['reason'],
    ({ deaf }) => deaf.map(({ reason, seconds }) => [{ reason }, seconds]),
  );
  read('tocsin_rule_overflow_events', 'Events counted in the overflow groups of full rules', [], (found) => [
    [{}, found.overflow],
  ]);
  read(
    'tocsin_housekeeping_success_timestamp_seconds',
    'When a step of housekeeping last succeeded',
    ['step'],
    ({ rounds }) =>
      rounds.map(({ step, succeeded_at }) => [{ step }, succeeded_at === null ? 0 : succeeded_at / 1000]),
  );
  read(
    'tocsin_wedged_workflows',
    'Workflows that cannot continue because their code fails at each attempt',
    [],
    ({ rounds }) => [[{}, wedgedOf(rounds).length]],
  );
  read('tocsin_database_bytes', 'Size of the database', [], (found) => [[{}, found.database_bytes]]);
  read('tocsin_partitions', 'How many day partitions a partitioned table has', ['table'], ({ days }) =>
    Object.entries(days).map(([table, list]) => [{ table }, list.length]),
  );
  read(
    'tocsin_partition_oldest_timestamp_seconds',
    'Start of the oldest day partition',
    ['table'],
    ({ days }) => Object.entries(days).map(([table, list]) => [{ table }, seconds(list[0])]),
  );
  read(
    'tocsin_partition_newest_timestamp_seconds',
    'Start of the newest day partition',
    ['table'],
    ({ days }) => Object.entries(days).map(([table, list]) => [{ table }, seconds(list.at(-1))]),
  );
}

const seconds = (day: number | undefined) => (day === undefined ? null : day / 1000);
