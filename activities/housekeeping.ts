import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../db/orm.ts';
import { ensurePartitions } from '../db/partitions.ts';
import { AUDIT_DAYS, forgetAudit } from '../db/queries/audit.ts';
import { forgetSettled, oldestCountKept, trimCounts } from '../db/queries/counts-kept.ts';
import { forgetSpans } from '../db/queries/deaf-spans.ts';
import { expectedWorkflows } from '../db/queries/expected-workflows.ts';
import { foldRollups } from '../db/queries/fold.ts';
import { forgetIdleGroups } from '../db/queries/forget-groups.ts';
import { forgetDeadLetters, forgetIncidents } from '../db/queries/forget-records.ts';
import { forgetAlerts } from '../db/queries/received-writes.ts';
import { forgetRejections } from '../db/queries/rejections.ts';
import { dropPartitions, forgetEvents } from '../db/queries/retention.ts';
import { forgetSessions } from '../db/queries/sessions.ts';
import { forgetProcesses } from '../db/queries/watermark.ts';
import { DAY_MS } from '../domain/event.ts';
import { incidentWorkflow, producerWorkflow, ruleWorkflow, type Startable } from '../workflows/startable.ts';
import { heartbeating } from './heartbeating.ts';

/** Pause between two workflow starts: 20 a second leave the server room for its other work. */
const START_EVERY_MS = 50;

/** Pause between two rounds of deleting single counts: it reads all that a rule has. */
const TRIM_EVERY_MS = 3600_000;

/** What the housekeeping workflow does, each step safe to repeat. */
export function createHousekeepingActivities({
  orm,
  client,
  clock,
  log,
  retentionDays,
  incidentRetentionDays,
}: {
  orm: Orm;
  client: Client;
  clock: () => number;
  log: Logger;
  retentionDays: number;
  incidentRetentionDays: number;
}) {
  let trimmedAt = Number.NEGATIVE_INFINITY;

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
    await forgetSettled(orm, null);
    const dropped =
      (await dropPartitions(orm, 'events', () => oldest)) +
      (await dropPartitions(orm, 'window_counts', async (db) => (await oldestCountKept(db, now)) - DAY_MS));
    if (now - trimmedAt >= TRIM_EVERY_MS) {
      await trimCounts(orm, clock);
      trimmedAt = now;
    }
    await foldRollups(orm, now);
    await forgetEvents(sqlOf(orm), oldest);
    await forgetRejections(sqlOf(orm), oldest);
    await forgetProcesses(sqlOf(orm));
    await forgetSpans(sqlOf(orm), oldest);
    await forgetSessions(sqlOf(orm), now);
    await forgetAudit(sqlOf(orm), now - AUDIT_DAYS * DAY_MS);
    const letters = await forgetDeadLetters(sqlOf(orm), oldest);
    if (letters.waiting > 0) log.warn(letters, 'dead letters expired that nobody redrove or discarded');
    const incidents = await forgetIncidents(sqlOf(orm), now - incidentRetentionDays * DAY_MS);
    const alerts = await forgetAlerts(sqlOf(orm), now - DAY_MS);
    const groups = await forgetIdleGroups(orm);
    if (dropped + groups + letters.all + incidents + alerts > 0) {
      log.info({ dropped, groups, dead_letters: letters.all, incidents, alerts }, 'retention');
    }
    return { made, dropped };
  }

  async function reconcile() {
    const { rules, producers, incidents } = await expectedWorkflows(sqlOf(orm));
    return {
      rules: await startMissing(
        'alertRule',
        rules.map(({ id }) => ruleWorkflow(id)),
      ),
      producers: await startMissing(
        'producer',
        producers.map(({ id, settings, paused }) => producerWorkflow({ source_id: id, settings, paused })),
      ),
      incidents: await startMissing(
        'incident',
        incidents.map(({ id }) => incidentWorkflow(id)),
      ),
    };
  }

  async function startMissing(kind: string, expected: readonly Startable[]): Promise<number> {
    const running = new Set<string>();
    const query = `WorkflowType = '${kind}' AND ExecutionStatus = 'Running'`;
    for await (const { workflowId } of client.workflow.list({ query, pageSize: 1000 }))
      running.add(workflowId);
    let started = 0;
    for (const { type, ...options } of expected) {
      if (running.has(options.workflowId)) continue;
      await client.workflow.start(type, { ...options, workflowIdConflictPolicy: 'USE_EXISTING' });
      started++;
      await new Promise((resolve) => setTimeout(resolve, START_EVERY_MS));
    }
    if (started > 0) log.info({ type: kind, started }, 'workflows started from their rows');
    return started;
  }
}

export type HousekeepingActivities = ReturnType<typeof createHousekeepingActivities>;
