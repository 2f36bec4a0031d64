import { join } from 'node:path';
import { Client, Connection, type WorkflowHandleWithSignaledRunId } from '@temporalio/client';
import {
  bundleWorkflowCode,
  NativeConnection,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { pino } from 'pino';
import { type ChannelSettings, createChannels } from '../../activities/channels/index.ts';
import { createIncidentActivities } from '../../activities/incidents/index.ts';
import { createNotifyActivities } from '../../activities/incidents/notify.ts';
import type { Orm } from '../../db/orm.ts';
import { searchAttributes } from '../../temporal-config/register.ts';
import { incidentWorkflowId } from '../../workflows/ids.ts';
import type { incident } from '../../workflows/incidents/incident.ts';
import { incidentChanged } from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { freshNamespace, temporalAddress } from '../support/servers.ts';
import { record } from './record.ts';

export type Handle = WorkflowHandleWithSignaledRunId<typeof incident>;
export type Stage = Awaited<ReturnType<typeof stage>>;

const workflowsPath = join(import.meta.dirname, '../../workflows/incidents/incident.ts');
let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

/** The code of the incident workflow, bundled once per test run. */
export function incidentBundle(): Promise<WorkflowBundleWithSourceMap> {
  bundle ??= bundleWorkflowCode({ workflowsPath, logger: quiet });
  return bundle;
}

const silence = () => {};
const quiet = { log: silence, trace: silence, debug: silence, info: silence, warn: silence, error: silence };

/** Connections to the test run's Temporal server, in a new namespace. */
export async function ownNamespace() {
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
  channels: ChannelSettings[];
  /** Pauses between attempts, in milliseconds. */
  scheduleMs?: number[];
  /** Whether the worker for notices runs at the start. */
  notify?: boolean;
  temporal?: {
    namespace?: string;
    nativeConnection: NativeConnection;
    client: Client;
    close?(): Promise<void>;
  };
};

/** A database, a namespace, and the two workers that incidents need, with the real activities. */
export async function stage({ channels, scheduleMs = [50, 50], notify = true, temporal }: Options) {
  const rows = await record();
  const { orm } = rows;
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
  const installation = async () => ({
    api: 'http://tocsin.test/',
    attributes: Object.keys(searchAttributes),
  });
  await run({
    ...shared,
    taskQueue: QUEUES.incidents,
    workflowBundle: await incidentBundle(),
    activities: createIncidentActivities({ ...base, channels: names, scheduleMs, installation }),
  });
  if (notify) await startNotify();

  return {
    ...rows,
    client,
    logged,
    /** Starts a worker for notices; resolves to the function that stops it. */
    startNotify,
    signal: (id: string) => signal(client, id),
    async close() {
      for (const { worker } of running) worker.shutdown();
      await Promise.all(running.map(({ ended }) => ended));
      await close?.();
      await rows.close();
    },
  };
}

/** Signals an incident's workflow like the judge: it starts the workflow if it does not run. */
export function signal(client: Client, id: string): Promise<Handle> {
  return client.workflow.signalWithStart<typeof incident>('incident', {
    workflowId: incidentWorkflowId(id),
    taskQueue: QUEUES.incidents,
    args: [{ incident_id: id }],
    signal: incidentChanged,
    signalArgs: [],
  });
}
