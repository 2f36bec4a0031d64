import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { Sql } from '../../db/orm.ts';
import { stuckRows } from '../../db/queries/system/stuck.ts';
import type { WedgedWorkflow } from '../../domain/system/housekeeping.ts';
import { askTemporal } from '../../temporal-config/ask.ts';
import {
  deadLetterWorkflowId,
  incidentWorkflowId,
  producerWorkflowId,
  ruleWorkflowId,
} from '../../workflows/ids.ts';

/** How long a row may wait before its workflow is checked, in milliseconds. */
const PATIENCE_MS = 60_000;
/** From this many attempts on, a workflow counts as wedged. A worker that dies costs one or two attempts. */
const ATTEMPTS = 3;

/**
 * Finds workflows that cannot continue: their rows wait, and their workflow task failed again and again. Each
 * is looked up by its id, so no list of workflows is needed.
 */
export async function wedgedWorkflows(
  client: Client,
  db: Sql,
  now: number,
  progress: () => void,
): Promise<WedgedWorkflow[]> {
  const { rules, incidents, producers, sources } = await stuckRows(db, now - PATIENCE_MS);
  const wedged: WedgedWorkflow[] = [];
  for (const id of [
    ...rules.map(ruleWorkflowId),
    ...incidents.map(incidentWorkflowId),
    ...producers.map(producerWorkflowId),
    ...sources.map(deadLetterWorkflowId),
  ]) {
    const attempts = await attemptsAtTask(client, id);
    progress();
    if (attempts >= ATTEMPTS) {
      wedged.push({ workflow_id: id, attempts, reason: await lastFailure(client, id) });
    }
  }
  return wedged;
}

async function attemptsAtTask(client: Client, workflowId: string): Promise<number> {
  try {
    const { raw } = await askTemporal(client, () => client.workflow.getHandle(workflowId).describe());
    return Number(raw.pendingWorkflowTask?.attempt ?? 0);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 0;
    throw error;
  }
}

/** Why the task failed the first time. The server stores no later failure. */
async function lastFailure(client: Client, workflowId: string): Promise<string> {
  const { history } = await askTemporal(client, () =>
    client.workflowService.getWorkflowExecutionHistoryReverse({
      namespace: client.options.namespace,
      execution: { workflowId },
      maximumPageSize: 10,
    }),
  );
  for (const { workflowTaskFailedEventAttributes: failed } of history?.events ?? []) {
    if (failed?.failure?.message) return failed.failure.message.slice(0, 500);
  }
  return 'no worker finishes its workflow task in time';
}
