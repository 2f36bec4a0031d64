import { setTimeout as sleep } from 'node:timers/promises';
import { QUEUES } from '../../../workflows/queues.ts';
import type { ApiDeps } from '../../deps.ts';
import { Conflict } from '../../http/problem.ts';
import { answered } from '../../temporal.ts';

/** `temporal.api.enums.v1.TaskQueueType`: activities. */
const ACTIVITY_QUEUE = 2;

/** `temporal.api.enums.v1.RateLimitSource`. */
const SOURCES = { 1: 'api', 2: 'worker', 3: 'temporal' } as const;

/**
 * Seconds. A live worker polls at least once a minute, so a worker that polled this long before the latest
 * poll has stopped.
 */
const GONE_AFTER = 90;

/** How long Temporal may take to apply a new limit, in milliseconds. */
const MOST_DELAY_MS = 2000;

/** The state of the ingest queue, as Temporal reports it. */
export interface QueueState {
  /** Approximate number of batches that wait for a worker. */
  backlog: number;
  /** Age of the oldest waiting batch, in seconds. */
  oldest_seconds: number;
  /** The limit in force, in activities per second; null if Temporal does not report one. */
  activities_per_second: number | null;
  /** Who set the limit. `temporal` means that nobody did. */
  set_by: (typeof SOURCES)[keyof typeof SOURCES];
  /** The different limits of live workers, ascending. That of the worker that polled last applies. */
  worker_limits: number[];
}

/** Asks Temporal for the state of the ingest queue. @throws Unavailable */
export async function queueState({ client }: ApiDeps): Promise<QueueState> {
  const { stats, config, effectiveRateLimit, pollers } = await answered(client, () =>
    client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: QUEUES.ingest },
      taskQueueType: ACTIVITY_QUEUE,
      reportStats: true,
      reportConfig: true,
    }),
  );
  const asked = pollers.map(({ ratePerSecond, lastAccessTime }) => ({
    limit: ratePerSecond ?? 0,
    at: Number(lastAccessTime?.seconds ?? 0),
  }));
  const latest = Math.max(...asked.map(({ at }) => at));
  const limits = asked.filter(({ limit, at }) => limit > 0 && at >= latest - GONE_AFTER);
  const override = config?.queueRateLimit?.rateLimit?.requestsPerSecond;
  const source = effectiveRateLimit?.rateLimitSource as keyof typeof SOURCES | undefined;
  return {
    backlog: Number(stats?.approximateBacklogCount ?? 0),
    oldest_seconds: Number(stats?.approximateBacklogAge?.seconds ?? 0),
    activities_per_second: effectiveRateLimit?.requestsPerSecond ?? override ?? null,
    set_by: (source && SOURCES[source]) ?? (override == null ? 'worker' : 'api'),
    worker_limits: [...new Set(limits.map(({ limit }) => limit))].sort((a, b) => a - b),
  };
}

/**
 * Checks that the ingest queue is not stopped. A redrive runs on that queue and would wait for ever.
 * @throws Conflict, Unavailable
 */
export async function requireFlow(deps: ApiDeps): Promise<void> {
  const { activities_per_second } = await queueState(deps);
  if (activities_per_second === 0)
    throw new Conflict('the ingest queue is stopped: open it with PUT /backpressure');
}

/**
 * Limits the ingest queue for all workers together. 0 stops it; null restores the limit of the workers.
 * Temporal stores a limit first and applies it a moment later. This function waits for that, so that the
 * returned state shows the new limit; after `MOST_DELAY_MS` it returns what is in force.
 * @throws Unavailable
 */
export async function limitQueue(deps: ApiDeps, activitiesPerSecond: number | null): Promise<QueueState> {
  const { client } = deps;
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
  const latest = performance.now() + MOST_DELAY_MS;
  for (;;) {
    const state = await queueState(deps);
    if (isApplied(activitiesPerSecond, state) || performance.now() > latest) return state;
    await sleep(50);
  }
}

/** Says whether this limit is in force. Temporal stores limits as 32-bit floats. */
function isApplied(limit: number | null, { set_by, activities_per_second }: QueueState): boolean {
  if (limit === null) return set_by !== 'api';
  return set_by === 'api' && activities_per_second !== null && sameFloat(activities_per_second, limit);
}

const sameFloat = (a: number, b: number) => Math.fround(a) === Math.fround(b);
