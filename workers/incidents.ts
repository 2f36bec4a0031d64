import { Worker } from '@temporalio/worker';
import { createIncidentActivities } from '../activities/incidents/index.ts';
import { QUEUES } from '../workflows/queues.ts';
import { commonOptions, installationOf, type WorkerContext } from './context.ts';

/** Makes the workers for incident workflows and their database activities. They send no notices. */
export async function incidentWorkers(context: WorkerContext): Promise<Worker[]> {
  const { config, workflowBundle, orm, clock, log } = context;
  const channels = config.CHANNELS.map(({ name }) => name);
  if (channels.length === 0) log.warn('no channel is configured: nobody will be notified of incidents');
  const worker = await Worker.create({
    ...commonOptions(context),
    taskQueue: QUEUES.incidents,
    workflowBundle,
    activities: createIncidentActivities({
      orm,
      clock,
      log,
      channels,
      installation: installationOf(context),
    }),
    // Each takes about 1 MB. An incident that is not cached costs a replay of its short history.
    maxCachedWorkflows: 200,
  });
  return [worker];
}
