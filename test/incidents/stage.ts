import { Worker } from '@temporalio/worker';
import { type ChannelSettings, createChannels } from '../../activities/channels/index.ts';
import { createIncidentActivities } from '../../activities/incidents/index.ts';
import { createNotifyActivities } from '../../activities/incidents/notify.ts';
import type { Orm } from '../../db/orm.ts';
import { searchAttributes } from '../../temporal-config/register.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { bundleOf } from '../support/stage/bundles.ts';
import { openDatabase } from '../support/stage/database.ts';
import { capturedLog } from '../support/stage/log.ts';
import { openStage } from '../support/stage/stage.ts';
import { connectTemporal, type Temporal } from '../support/stage/temporal.ts';
import { runner } from '../support/stage/workers.ts';
import { recordIn } from './record.ts';
import { signal } from './signal.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

type Options = {
  channels: ChannelSettings[];
  /** Pauses between attempts, in milliseconds. */
  scheduleMs?: number[];
  /** Whether the worker for notices runs at the start. */
  notify?: boolean;
  /** Connections to a server that the test started itself. */
  temporal?: Pick<Temporal, 'namespace' | 'nativeConnection' | 'client'>;
};

/** A database, a namespace, and the two workers that incidents need, with the real activities. */
export const stage = ({ channels, scheduleMs = [50, 50], notify = true, temporal }: Options) =>
  openStage(async (closing) => {
    const { orm } = await openDatabase(closing);
    const { namespace, nativeConnection, client } = temporal ?? (await connectTemporal(closing));
    const { log, logged } = capturedLog();
    const base = { orm, clock: Date.now, log };
    const api = 'http://tocsin.test/';
    const shared = { connection: nativeConnection, namespace, identity: 'test' };
    const run = runner(closing);
    /** Starts a worker for notices; resolves to the function that stops it. */
    const startNotify = async (changes: { orm?: Orm } = {}) => {
      const notifying = { ...base, publicUrl: api, channels: createChannels(channels, Date.now), ...changes };
      const activities = createNotifyActivities(notifying);
      return run([await Worker.create({ ...shared, taskQueue: QUEUES.notify, activities })]);
    };
    const names = channels.map(({ name }) => name);
    const installation = async () => ({ api, attributes: Object.keys(searchAttributes) });
    const workflowBundle = await bundleOf('workflows/incidents/incident.ts');
    const activities = createIncidentActivities({ ...base, channels: names, scheduleMs, installation });
    run([await Worker.create({ ...shared, taskQueue: QUEUES.incidents, workflowBundle, activities })]);
    if (notify) await startNotify();
    return { ...recordIn(orm), client, logged, startNotify, signal: (id: string) => signal(client, id) };
  });
