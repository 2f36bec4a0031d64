import type { Client } from '@temporalio/client';
import { QUEUES } from '../../workflows/queues.ts';

/** `temporal.api.enums.v1.TaskQueueType`. */
const KINDS = { workflow: 1, activity: 2 } as const;

/** The kinds of tasks that our queues carry. */
const CARRIED = [
  [QUEUES.ingest, 'activity'],
  [QUEUES.producers, 'workflow'],
  [QUEUES.producers, 'activity'],
  [QUEUES.rules, 'workflow'],
  [QUEUES.rules, 'activity'],
  [QUEUES.incidents, 'workflow'],
  [QUEUES.incidents, 'activity'],
  [QUEUES.notify, 'activity'],
] as const;

/** Approximate number of tasks of a queue that wait for a worker. */
export interface Backlog {
  queue: string;
  kind: 'workflow' | 'activity';
  tasks: number;
}

/**
 * Asks Temporal how many tasks wait in each of our queues. @throws when it does not answer within
 * `deadlineMs`
 */
export async function readBacklog(client: Client, deadlineMs: number): Promise<Backlog[]> {
  return client.withDeadline(Date.now() + deadlineMs, () =>
    Promise.all(
      CARRIED.map(async ([queue, kind]) => {
        const { stats } = await client.workflowService.describeTaskQueue({
          namespace: client.options.namespace,
          taskQueue: { name: queue },
          taskQueueType: KINDS[kind],
          reportStats: true,
        });
        return { queue, kind, tasks: Number(stats?.approximateBacklogCount ?? 0) };
      }),
    ),
  );
}
