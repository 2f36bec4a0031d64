import { Worker } from '@temporalio/worker';
import { createHousekeepingActivities } from '../activities/housekeeping.ts';
import { createRuleActivities } from '../activities/rules/index.ts';
import { HOUSEKEEPING_WORKFLOW_ID } from '../workflows/ids.ts';
import { QUEUES } from '../workflows/queues.ts';
import type { WorkerContext } from './context.ts';

/** Judges rules and keeps the house. */
export async function ruleWorkers(context: WorkerContext): Promise<Worker[]> {
  const { config, connection, workflowBundle } = context;
  return [
    await Worker.create({
      connection,
      namespace: config.TEMPORAL_NAMESPACE,
      taskQueue: QUEUES.rules,
      workflowBundle,
      activities: {
        ...createRuleActivities(context),
        ...createHousekeepingActivities({ ...context, retentionDays: config.RETENTION_DAYS }),
      },
      // A cached workflow costs about a megabyte; one that fell out is replayed when it is next woken.
      maxCachedWorkflows: 200,
      maxConcurrentLocalActivityExecutions: Math.max(2, Math.floor(config.DATABASE_POOL / 2)),
      shutdownGraceTime: '20s',
    }),
  ];
}

/** Makes sure that the one housekeeping workflow runs. */
export async function startHousekeeping({ client }: WorkerContext): Promise<void> {
  await client.workflow.start('housekeeping', {
    workflowId: HOUSEKEEPING_WORKFLOW_ID,
    taskQueue: QUEUES.rules,
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: 'Partitions, retention, and workflows that should run',
  });
}
