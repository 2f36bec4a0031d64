import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandleWithSignaledRunId } from '@temporalio/client';
import {
  bundleWorkflowCode,
  NativeConnection,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { pino } from 'pino';
import { createChannels } from '../../activities/channels/index.ts';
import { createIncidentActivities } from '../../activities/incidents.ts';
import { createNotifyActivities } from '../../activities/notify.ts';
import type { ChannelConfig } from '../../config.ts';
import { DeliveryEntity, IncidentEntity, NoticeEntity, TimelineEntity } from '../../db/entities/incident.ts';
import { connect, type Orm, transaction } from '../../db/orm.ts';
import { incidentWorkflowId } from '../../workflows/ids.ts';
import type { incident } from '../../workflows/incident.ts';
import { incidentChanged } from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../support/servers.ts';
import { waitFor } from '../support/wait-for.ts';

type Handle = WorkflowHandleWithSignaledRunId<typeof incident>;
export type Stage = Awaited<ReturnType<typeof stage>>;

const workflowsPath = join(import.meta.dirname, '../../workflows/incident.ts');
let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

/** The incident workflow's code, bundled once a run. */
export function incidentBundle(): Promise<WorkflowBundleWithSourceMap> {
  bundle ??= bundleWorkflowCode({ workflowsPath, logger: quiet });
  return bundle;
}

const silence = () => {};
const quiet = { log: silence, trace: silence, debug: silence, info: silence, warn: silence, error: silence };

/** Connections to the Temporal server of the test run, in a namespace of its own. */
async function ownNamespace() {
  const address = await temporalAddress();
  const namespace = await freshNamespace();
  const connection = await Connection.connect({ address });
  const nativeConnection = await NativeConnection.connect({ address });
  return {
    namespace,
    nativeConnection,
    client: new Client({ connection, namespace, identity: 'test' }),
    async close() {
      await nativeConnection.close();
      await connection.close();
    },
  };
}

type Options = {
  channels: ChannelConfig[];
  /** Pauses between attempts, in milliseconds. */
  scheduleMs?: number[];
  /** Of the two workers, those that run at first. */
  notify?: boolean;
  temporal?: {
    namespace?: string;
    nativeConnection: NativeConnection;
    client: Client;
    close?(): Promise<void>;
  };
};

/** A database, a namespace and the two workers that incidents need, with the product's own activities. */
export async function stage({ channels, scheduleMs = [50, 50], notify = true, temporal }: Options) {
  const database = await freshDatabase();
  const orm = await connect(database.url, 5);
  const { namespace = 'default', nativeConnection, client, close } = temporal ?? (await ownNamespace());
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const base = { orm, clock: Date.now, log };
  const shared = { connection: nativeConnection, namespace, identity: 'test' };
  const running: { worker: Worker; ended: Promise<void> }[] = [];

  async function run(options: Parameters<typeof Worker.create>[0]): Promise<() => Promise<void>> {
    const worker = await Worker.create(options);
    const one = { worker, ended: worker.run() };
    running.push(one);
    return async () => {
      running.splice(running.indexOf(one), 1);
      worker.shutdown();
      await one.ended;
    };
  }
  const startNotify = (changes: { orm?: Orm } = {}) =>
    run({
      ...shared,
      taskQueue: QUEUES.notify,
      activities: createNotifyActivities({
        ...base,
        publicUrl: 'http://tocsin.test/',
        channels: createChannels(channels, Date.now),
        ...changes,
      }),
    });
  const names = channels.map(({ name }) => name);
  await run({
    ...shared,
    taskQueue: QUEUES.incidents,
    workflowBundle: await incidentBundle(),
    activities: createIncidentActivities({ ...base, channels: names, scheduleMs }),
  });
  if (notify) await startNotify();

  const em = () => orm.em.fork();
  return {
    client,
    orm,
    logged,
    /** Runs a notify worker; resolves to what stops it. */
    startNotify,
    /** Does what the judge does: an incident on record with its notice; the workflow is told by `signal`. */
    open: (changes: Partial<ReturnType<typeof incidentRow>> = {}) =>
      transaction(orm, async (_db, manager) => {
        const incident = manager.create(IncidentEntity, { ...incidentRow(), ...changes });
        manager.create(NoticeEntity, notice(incident.id, 'opened'));
        manager.create(TimelineEntity, entry(incident.id, 'opened'));
        return incident.id;
      }),
    /** The rule found it over. */
    recover: (id: string) =>
      transaction(orm, async (_db, manager) => {
        const found = await manager.findOneOrFail(IncidentEntity, id);
        const now = new Date();
        Object.assign(found, {
          state: 'resolved',
          endedAt: now,
          resolvedAt: now,
          resolveReason: 'recovered',
        });
        manager.create(NoticeEntity, notice(id, 'resolved'));
        manager.create(TimelineEntity, entry(id, 'resolved'));
      }),
    signal: (id: string): Promise<Handle> =>
      client.workflow.signalWithStart<typeof incident>('incident', {
        workflowId: incidentWorkflowId(id),
        taskQueue: QUEUES.incidents,
        args: [{ incident_id: id }],
        signal: incidentChanged,
        signalArgs: [],
      }),
    incident: (id: string) => em().findOneOrFail(IncidentEntity, id),
    notices: (id: string) => em().find(NoticeEntity, { incidentId: id }, { orderBy: { at: 'asc' } }),
    deliveries: (id: string) =>
      em().find(DeliveryEntity, { incidentId: id }, { orderBy: { at: 'asc', attempt: 'asc' } }),
    timeline: (id: string) => em().find(TimelineEntity, { incidentId: id }, { orderBy: { id: 'asc' } }),
    allDone: (id: string, count: number) =>
      waitFor(
        async () => {
          const notices = await em().find(NoticeEntity, { incidentId: id, done: true });
          return notices.length === count;
        },
        { what: `${count} notices to be done` },
      ),
    async close() {
      for (const { worker } of running) worker.shutdown();
      await Promise.all(running.map(({ ended }) => ended));
      await close?.();
      await orm.close(true);
      await database.drop();
    },
  };
}

/** An open incident as the judge inserts it. */
export const incidentRow = () => ({
  id: randomUUID() as string,
  ruleId: randomUUID() as string,
  groupKey: '',
  episode: 1,
  revision: 1,
  ruleName: 'CPU too high',
  summary: 'Rule CPU too high triggered for cpu_spike',
  severity: 'critical',
  state: 'open' as 'open' | 'acknowledged' | 'resolved',
  since: new Date(Date.now() - 1000),
  openedAt: new Date(Date.now() - 1000),
  endedAt: null as Date | null,
  recordedAt: new Date(),
  resolvedAt: null as Date | null,
  groupLabels: {},
  labels: { team: 'core' },
  annotations: {},
  metadata: { observed_count: 5, window_seconds: 60 },
});

const notice = (incidentId: string, kind: 'opened' | 'resolved') => ({
  ...{ id: randomUUID() as string, incidentId, kind },
  at: new Date(),
});

const entry = (incidentId: string, kind: string) => ({
  ...{ incidentId, at: new Date(), kind, actor: 'rule', detail: {} },
});
