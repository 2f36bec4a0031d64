import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { ensurePartitions } from '../db/partitions.ts';
import { type Expected, expectedWorkflows } from '../db/queries/expected-workflows.ts';
import { dropPartitions, forgetEvents, forgetIdleGroups, longestReach } from '../db/queries/retention.ts';
import { forgetProcesses } from '../db/queries/watermark.ts';
import { DAY_MS } from '../domain/event.ts';
import { incidentWorkflowId, producerWorkflowId, ruleWorkflowId } from '../workflows/ids.ts';
import { QUEUES } from '../workflows/queues.ts';
import { heartbeating } from './heartbeating.ts';

/** Pause between two workflow starts: 20 a second leave the server room for its other work. */
const START_EVERY_MS = 50;

/** What the housekeeping workflow does, each step safe to repeat. */
export function createHousekeepingActivities({
  orm,
  client,
  clock,
  log,
  retentionDays,
}: {
  orm: Orm;
  client: Client;
  clock: () => number;
  log: Logger;
  retentionDays: number;
}) {
  return {
    /** Makes the partitions ahead and drops what is past retention. */
    async keepPartitions(): Promise<{ made: number; dropped: number }> {
      return heartbeating(keepPartitions);
    },

    /** Starts the workflows that rows say should run and that don't. */
    async reconcile(): Promise<{ rules: number; producers: number; incidents: number }> {
      return heartbeating(reconcile);
    },
  };

  async function keepPartitions() {
    const now = clock();
    const made = await ensurePartitions(orm, now);
    const oldest = now - retentionDays * DAY_MS;
    const reach = await longestReach(sqlOf(orm));
    const dropped =
      (await dropPartitions(orm, 'events', oldest)) +
      (await dropPartitions(orm, 'window_counts', now - reach - DAY_MS));
    await forgetEvents(sqlOf(orm), oldest);
    await forgetProcesses(sqlOf(orm), now);
    const groups = await forgetIdleGroups(orm);
    if (dropped + groups > 0) log.info({ dropped, groups }, 'retention');
    return { made, dropped };
  }

  async function reconcile() {
    const expected = await expectedWorkflows(sqlOf(orm));
    return {
      rules: await startMissing('alertRule', expected.rules),
      producers: await startMissing('producer', expected.producers),
      incidents: await startMissing('incident', expected.incidents),
    };
  }

  async function startMissing(type: keyof typeof KINDS, rows: readonly Expected[]): Promise<number> {
    const kind = KINDS[type];
    const running = new Set<string>();
    const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
    for await (const { workflowId } of client.workflow.list({ query, pageSize: 1000 }))
      running.add(workflowId);
    let started = 0;
    for (const row of rows) {
      const workflowId = kind.id(row.id);
      if (running.has(workflowId)) continue;
      await client.workflow.start(type, {
        workflowId,
        taskQueue: kind.queue,
        args: [kind.input(row)],
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
      started++;
      await new Promise((resolve) => setTimeout(resolve, START_EVERY_MS));
    }
    if (started > 0) log.info({ type, started }, 'workflows started from their rows');
    return started;
  }
}

const KINDS = {
  alertRule: { id: ruleWorkflowId, queue: QUEUES.rules, input: ({ id }: Expected) => ({ rule_id: id }) },
  producer: {
    id: producerWorkflowId,
    queue: QUEUES.producers,
    input: ({ id, settings, paused }: Expected) => ({ source_id: id, settings, paused }),
  },
  incident: {
    id: incidentWorkflowId,
    queue: QUEUES.incidents,
    input: ({ id }: Expected) => ({ incident_id: id }),
  },
};

export type HousekeepingActivities = ReturnType<typeof createHousekeepingActivities>;
