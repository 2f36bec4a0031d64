import { Worker } from '@temporalio/worker';
import { createChannels } from '../activities/channels/index.ts';
import { createNotifyActivities } from '../activities/incidents/notify.ts';
import { QUEUES } from '../workflows/queues.ts';
import { commonOptions, type WorkerContext } from './context.ts';

/** Makes the worker that sends notices. It has its own queue, so that a slow receiver delays nothing else. */
export async function notifyWorkers(context: WorkerContext): Promise<Worker[]> {
  const { config, orm, clock, log } = context;
  const channels = createChannels(config.CHANNELS, clock);
  const worker = await Worker.create({
    ...commonOptions(context),
    taskQueue: QUEUES.notify,
    activities: createNotifyActivities({ orm, channels, clock, log, publicUrl: config.PUBLIC_URL }),
    maxConcurrentActivityTaskExecutions: 20,
  });
  return [worker];
}
