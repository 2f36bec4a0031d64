import { Worker } from '@temporalio/worker';
import { createProducerActivities } from '../activities/dead-letters/index.ts';
import { createRedriveActivities } from '../activities/dead-letters/redrive.ts';
import { createIngestActivities } from '../activities/producers/emit.ts';
import { createProbe } from '../activities/producers/http-check.ts';
import { parseNetwork } from '../domain/network.ts';
import type { Ingest } from '../ingest/outcome.ts';
import { QUEUES } from '../workflows/queues.ts';
import { commonOptions, installationOf, type WorkerContext } from './context.ts';

/** Batches appended at once: they share commits, so more of them cost little but memory. */
const CONCURRENT_BATCHES = 50;

/** About 1 MB each. */
const CACHED_WORKFLOWS = 300;

/**
 * The workers of events: queue `ingest`, which carries the rate limit and nothing else, and queue `producers`
 * with the workflows and what must go on while ingest is throttled. The caller runs them and shuts them down.
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
