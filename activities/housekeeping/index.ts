import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, type Sql, sqlOf } from '../../db/orm.ts';
import { ensurePartitions } from '../../db/partitions.ts';
import { dropPartitions, forgetEvents, forgetRuleChanges } from '../../db/queries/events/retention.ts';
import { AUDIT_DAYS, forgetAudit } from '../../db/queries/keys/audit.ts';
import { forgetSessions } from '../../db/queries/keys/sessions.ts';
import { forgetAlerts } from '../../db/queries/received-alerts/writes.ts';
import { forgetRejections } from '../../db/queries/rejections/rows.ts';
import { forgetSettled, oldestCountKept, trimCounts } from '../../db/queries/rules/counts-kept.ts';
import { foldRollups } from '../../db/queries/rules/fold.ts';
import { forgetIdleGroups } from '../../db/queries/rules/forget-groups.ts';
import { forgetProcesses } from '../../db/queries/rules/watermark.ts';
import { forgetSpans } from '../../db/queries/system/deaf-spans.ts';
import { expectedWorkflows, lettersToRetry } from '../../db/queries/system/expected-workflows.ts';
import { forgetDeadLetters, forgetIncidents } from '../../db/queries/system/forget-records.ts';
import { recordRound } from '../../db/queries/system/housekeeping-rounds.ts';
import { shownIncidents, shownRules } from '../../db/queries/system/shown.ts';
import { DAY_MS, type Json } from '../../domain/events/event.ts';
import type { HousekeepingStep, WedgedWorkflow } from '../../domain/system/housekeeping.ts';
import { askTemporal } from '../../temporal-config/ask.ts';
import {
  deadLetterWorkflowId,
  incidentWorkflowId,
  producerWorkflowId,
  ruleWorkflowId,
} from '../../workflows/ids.ts';
import {
  deadLetterWorkflow,
  incidentWorkflow,
  producerWorkflow,
  ruleWorkflow,
  type Startable,
} from '../../workflows/startable.ts';
import { type Progress, withProgress } from '../progress.ts';
import { wedgedWorkflows } from './wedged.ts';

/**
 * Pause between two workflow starts, in milliseconds. At 20 per second the server can still do its other
 * work.
 */
const START_EVERY_MS = 50;

/**
 * Pause between two rounds of deleting single counts, in milliseconds. A round reads all counts of a rule.
 */
const TRIM_EVERY_MS = 3600_000;

/** The activities of the housekeeping workflow. Each may safely be repeated. */
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
    /** Creates partitions for the next days, and drops those past the retention. */
    async keepPartitions(): Promise<{ made: number; dropped: number }> {
      return recorded('partitions', keepPartitions);
    },

    /**
     * Starts workflows that should run according to their rows and do not. Also finds workflows that cannot
     * continue.
     */
    async reconcile(): Promise<{
      rules: number;
      producers: number;
      incidents: number;
      dead_letters: number;
    }> {
      const { wedged, ...started } = await recorded('workflows', async (progress) => {
        const started = await startAllMissing(progress);
        const wedged = await wedgedWorkflows(client, sqlOf(orm), clock(), progress);
        for (const one of wedged)
          log.error(one, 'a workflow cannot continue: its code fails at each attempt');
        return { ...started, wedged: wedged as (WedgedWorkflow & { [key: string]: Json })[] };
      });
      return started;
    },
  };

  /** Runs a step and records its result for /status. */
  async function recorded<T extends Json>(
    step: HousekeepingStep,
    work: (progress: Progress) => Promise<T>,
  ): Promise<T> {
    const started_at = clock();
    const record = (error: string | null, found: Json) =>
      recordRound(sqlOf(orm), { step, started_at, ended_at: clock(), error, found });
    try {
      const found = await withProgress(work);
      await record(null, found);
      return found;
    } catch (error) {
      await record((error as Error).message, {}).catch((second: unknown) => {
        log.warn({ err: second, step }, 'could not record that a step of housekeeping failed');
      });
      throw error;
    }
  }

  async function keepPartitions(progress: Progress) {
    const now = clock();
    const db = sqlOf(orm);
    const step = async <T>(work: Promise<T>): Promise<T> => {
      const done = await work;
      progress();
      return done;
    };
    const made = await step(ensurePartitions(orm, now));
    const oldest = now - retentionDays * DAY_MS;
    await forgetSettled(orm, null, progress);
    const oldestCount = async (db: Sql) => (await oldestCountKept(db, now)) - DAY_MS;
    const dropped =
      (await step(dropPartitions(orm, 'events', () => oldest, progress))) +
      (await step(dropPartitions(orm, 'window_times', oldestCount, progress))) +
      (await step(dropPartitions(orm, 'window_counts', oldestCount, progress)));
    if (now - trimmedAt >= TRIM_EVERY_MS) {
      await trimCounts(orm, clock, progress);
      trimmedAt = now;
    }
    await foldRollups(orm, now, progress);
    await forgetEvents(db, oldest, progress);
    await step(forgetRuleChanges(db));
    await step(forgetRejections(db, oldest));
    await step(forgetProcesses(db));
    await step(forgetSpans(db, oldest));
    await step(forgetSessions(orm, now));
    await step(forgetAudit(db, now - AUDIT_DAYS * DAY_MS));
    const letters = await step(forgetDeadLetters(db, oldest, progress));
    if (letters.waiting > 0)
      log.warn(letters, 'dead letters expired before anybody redrove or discarded them');
    const incidents = await step(forgetIncidents(db, now - incidentRetentionDays * DAY_MS, progress));
    const alerts = await forgetAlerts(db, now - DAY_MS, progress);
    const groups = await step(forgetIdleGroups(orm, progress));
    if (dropped + groups + letters.all + incidents + alerts > 0) {
      log.info({ dropped, groups, dead_letters: letters.all, incidents, alerts }, 'retention');
    }
    return { made, dropped };
  }

  async function startAllMissing(progress: Progress) {
    const db = sqlOf(orm);
    const { rules, producers, incidents, sources } = await expectedWorkflows(db);
    progress();
    return {
      rules: await startMissing({
        kind: 'alertRule',
        expected: new Map(rules.map(({ id }) => [ruleWorkflowId(id), id])),
        startable: async (id) => ruleWorkflow(id, (await shownRules(db, [id])).get(id) ?? null),
        progress,
      }),
      producers: await startMissing({
        kind: 'producer',
        expected: new Map(producers.map((one) => [producerWorkflowId(one.id), one])),
        startable: async ({ id, settings, paused }) => producerWorkflow({ source_id: id, settings, paused }),
        progress,
      }),
      incidents: await startMissing({
        kind: 'incident',
        expected: new Map(incidents.map(({ id }) => [incidentWorkflowId(id), id])),
        startable: async (id) => {
          const incident = (await shownIncidents(db, [id])).get(id);
          return incident && incidentWorkflow(id, incident);
        },
        progress,
      }),
      dead_letters: await startMissing({
        kind: 'deadLetter',
        expected: new Map(sources.map((id) => [deadLetterWorkflowId(id), id])),
        startable: async (id) => deadLetterWorkflow(id, await lettersToRetry(db, id)),
        progress,
      }),
    };
  }

  /** Starts the workflows of a kind that do not run. Their input is read only then. */
  async function startMissing<T>({
    kind,
    expected,
    startable,
    progress,
  }: {
    kind: string;
    /** What should run, by workflow id. */
    expected: ReadonlyMap<string, T>;
    /** Makes the input of a start; undefined if its row is gone. */
    startable: (one: T) => Promise<Startable | undefined>;
    progress: Progress;
  }): Promise<number> {
    const running = await runningIds(client, kind, progress);
    let started = 0;
    for (const [workflowId, one] of expected) {
      const missing = running.has(workflowId) ? undefined : await startable(one);
      if (!missing) continue;
      const { type, ...options } = missing;
      await askTemporal(client, () =>
        client.workflow.start(type, { ...options, workflowIdConflictPolicy: 'USE_EXISTING' }),
      );
      started++;
      progress();
      await new Promise((resolve) => setTimeout(resolve, START_EVERY_MS));
    }
    if (started > 0)
      log.info({ type: kind, started }, 'started workflows that had a row but were not running');
    return started;
  }
}

/** Ids of the running workflows of a kind. Each page is a call with its own deadline. */
async function runningIds(client: Client, kind: string, progress: Progress): Promise<Set<string>> {
  const { namespace } = client.options;
  const query = `WorkflowType = '${kind}' AND ExecutionStatus = 'Running'`;
  const running = new Set<string>();
  let nextPageToken: Uint8Array | null | undefined;
  do {
    const page = await askTemporal(client, () =>
      client.workflowService.listWorkflowExecutions({ namespace, query, pageSize: 1000, nextPageToken }),
    );
    for (const { execution } of page.executions ?? []) running.add(execution!.workflowId!);
    nextPageToken = page.nextPageToken;
    progress();
  } while (nextPageToken && nextPageToken.length > 0);
  return running;
}

export type HousekeepingActivities = ReturnType<typeof createHousekeepingActivities>;
