import { Worker } from '@temporalio/worker';
import { createHousekeepingActivities } from '../activities/housekeeping/index.ts';
import { createRuleActivities } from '../activities/rules/index.ts';
import { QUEUES } from '../workflows/queues.ts';
import { commonOptions, installationOf, type WorkerContext } from './context.ts';

/** Judges rules and keeps the house. */
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
      // A cached workflow costs about a megabyte; one that fell out is replayed when it is next woken.
      maxCachedWorkflows: 200,
      maxConcurrentLocalActivityExecutions: Math.max(2, Math.floor(config.DATABASE_POOL / 2)),
    }),
  ];
}
