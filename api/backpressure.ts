import { QUEUES } from '../workflows/queues.ts';
import type { ApiDeps } from './deps.ts';
import { answered } from './workflows.ts';

/** `temporal.api.enums.v1.TaskQueueType`: activities. */
const ACTIVITY_QUEUE = 2;

/** What Temporal says of the ingest queue. */
export interface QueueState {
  /** Batches that wait for a worker; approximate. */
  backlog: number;
  /** Age of the oldest of them, in seconds. */
  oldest_seconds: number;
  /** Limit set through the API, activities a second; null while the workers' own holds. */
  override: number | null;
}

/** Asks Temporal for the ingest queue. @throws Unavailable */
export async function queueState({ client }: ApiDeps): Promise<QueueState> {
  const { stats, config } = await answered(client, () =>
    client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: QUEUES.ingest },
      taskQueueType: ACTIVITY_QUEUE,
      reportStats: true,
      reportConfig: true,
    }),
  );
  return {
    backlog: Number(stats?.approximateBacklogCount ?? 0),
    oldest_seconds: Number(stats?.approximateBacklogAge?.seconds ?? 0),
    override: config?.queueRateLimit?.rateLimit?.requestsPerSecond ?? null,
  };
}

/** Limits the ingest queue over all workers; 0 stops it, null leaves it to the workers. @throws Unavailable */
export async function limitQueue({ client }: ApiDeps, activitiesPerSecond: number | null): Promise<void> {
  await answered(client, () =>
    client.workflowService.updateTaskQueueConfig({
      namespace: client.options.namespace,
      identity: client.options.identity,
      taskQueue: QUEUES.ingest,
      taskQueueType: ACTIVITY_QUEUE,
      updateQueueRateLimit: {
        rateLimit: activitiesPerSecond === null ? null : { requestsPerSecond: activitiesPerSecond },
        reason: 'PUT /backpressure',
      },
    }),
  );
}
