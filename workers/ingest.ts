import { Worker } from '@temporalio/worker';
import { createProducerActivities } from '../activities/dead-letters/index.ts';
import { createRedriveActivities } from '../activities/dead-letters/redrive.ts';
import { createIngestActivities } from '../activities/producers/emit.ts';
import { createProbe } from '../activities/producers/http-check.ts';
import { parseNetwork } from '../domain/network.ts';
import type { Ingest } from '../ingest/outcome.ts';
import { QUEUES } from '../workflows/queues.ts';
import { commonOptions, installationOf, type WorkerContext } from './context.ts';

/** How many batches are appended at once. They share commits, so more would cost little but memory. */
const CONCURRENT_BATCHES = 50;

/** Each takes about 1 MB. */
const CACHED_WORKFLOWS = 300;

/**
 * Makes the workers for events. The queue `ingest` has the rate limit and nothing but batches. The queue
 * `producers` has the workflows, and activities that must run while ingest is limited. The caller runs the
 * workers and shuts them down.
 */
export async function ingestWorkers(context: WorkerContext & { ingest: Ingest }): Promise<Worker[]> {
  const { config, workflowBundle, client, orm, ingest, clock, log } = context;
  const base = commonOptions(context);
  const allowed = config.HTTP_CHECK_NETWORKS.map((text) => parseNetwork(text)!);
  const activity = { orm, ingest, clock, log, retentionDays: config.RETENTION_DAYS };
  return Promise.all([
    Worker.create({
      ...base,
      taskQueue: QUEUES.ingest,
      activities: {
        ...createIngestActivities({ ...activity, probe: createProbe({ allowed }) }),
        ...createRedriveActivities(activity),
      },
      maxTaskQueueActivitiesPerSecond: config.INGEST_RATE_LIMIT,
      maxConcurrentActivityTaskExecutions: CONCURRENT_BATCHES,
    }),
    Worker.create({
      ...base,
      taskQueue: QUEUES.producers,
      workflowBundle,
      activities: createProducerActivities({ ...activity, client, installation: installationOf(context) }),
      maxCachedWorkflows: CACHED_WORKFLOWS,
      maxConcurrentActivityTaskExecutions: 20,
    }),
  ]);
}
