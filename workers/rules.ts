import { Worker } from '@temporalio/worker';
import { createHousekeepingActivities } from '../activities/housekeeping/index.ts';
import { createRuleActivities } from '../activities/rules/index.ts';
import { QUEUES } from '../workflows/queues.ts';
import { commonOptions, installationOf, type WorkerContext } from './context.ts';

/** Makes the workers for rules and housekeeping. */
export async function ruleWorkers(context: WorkerContext): Promise<Worker[]> {
  const { config, workflowBundle } = context;
  return [
    await Worker.create({
      ...commonOptions(context),
      taskQueue: QUEUES.rules,
      workflowBundle,
      activities: {
        ...createRuleActivities({ ...context, installation: installationOf(context) }),
        ...createHousekeepingActivities({
          ...context,
          retentionDays: config.RETENTION_DAYS,
          incidentRetentionDays: config.INCIDENT_RETENTION_DAYS,
        }),
      },
      // Each takes about 1 MB. A workflow that is not cached is replayed when it is woken.
      maxCachedWorkflows: 200,
      maxConcurrentLocalActivityExecutions: Math.max(2, Math.floor(config.DATABASE_POOL / 2)),
    }),
  ];
}
