import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  isGrpcServiceError,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, type QueryDefinition, type UpdateDefinition } from '@temporalio/common';
import { signalRule } from '../temporal-config/signals/rules.ts';
import { incidentWorkflowId } from '../workflows/ids.ts';
import { incidentChanged } from '../workflows/messages.ts';
import type { Startable } from '../workflows/startable.ts';
import type { ApiDeps } from './deps.ts';
import { Conflict, Unavailable } from './http/problem.ts';

/** How long a request waits for Temporal, in milliseconds. */
const DEADLINE_MS = 5000;

/** How many incident workflows are signalled at the same time. */
const TOLD_AT_ONCE = 16;

/** The reason that Temporal gives when a workflow ends before it has answered an update. */
const ENDED_MEANWHILE = 'AcceptedUpdateCompletedWorkflow';

/**
 * Sends an update to a workflow, starts the workflow if it does not run, and waits for the result.
 * @throws Conflict when the workflow rejects the update, Unavailable when Temporal or its workers don't
 * answer
 */
export async function updateWithStart<Ret, Args extends unknown[]>(
  client: Client,
  { type, ...options }: Startable,
  update: UpdateDefinition<Ret, Args>,
  updateArgs: Args,
  deadlineMs = DEADLINE_MS,
): Promise<Ret> {
  const startWorkflowOperation = new WithStartWorkflowOperation(type, {
    ...options,
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  return answered(
    client,
    () => client.workflow.executeUpdateWithStart(update, { args: updateArgs, startWorkflowOperation }),
    deadlineMs,
  );
}

/**
 * Sends an update to a workflow if it runs.
 * @returns undefined if it does not run
 * @throws Conflict, Unavailable
 */
export async function updateIfRunning<Ret, Args extends [unknown, ...unknown[]]>(
  client: Client,
  workflowId: string,
  update: UpdateDefinition<Ret, Args>,
  args: Args,
): Promise<Ret | undefined> {
  return answered(client, async () => {
    try {
      return await client.workflow.getHandle(workflowId).executeUpdate(update, { args });
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  });
}

/**
 * Asks a workflow for its state. Null if the workflow does not run, or if Temporal or its workers do not
 * answer.
 */
export async function ask<Ret>(
  client: Client,
  workflowId: string,
  query: QueryDefinition<Ret>,
): Promise<Ret | null> {
  try {
    return await client.withDeadline(Date.now() + 2000, () =>
      client.workflow.getHandle(workflowId).query(query),
    );
  } catch {
    return null;
  }
}

/**
 * Signals a rule's workflow that the rule changed, and waits for that at most a second. If the signal fails,
 * housekeeping repeats it, because the change itself is in the rule's row.
 */
export async function tellRule({ orm, client, log }: ApiDeps, ruleId: string): Promise<void> {
  const told = signalRule({ orm, client }, ruleId).catch((error: unknown) => {
    log.warn({ err: error, rule_id: ruleId }, 'could not signal the rule workflow; housekeeping will do it');
  });
  await Promise.race([told, sleep(1000, undefined, { ref: false })]);
}

/**
 * Signals the workflows of incidents that their rows changed, a few at a time. Workflows that do not run are
 * skipped: they have nothing to do.
 */
export async function tellIncidents({ client, log }: ApiDeps, ids: readonly string[]): Promise<void> {
  for (let i = 0; i < ids.length; i += TOLD_AT_ONCE) {
    await Promise.all(
      ids.slice(i, i + TOLD_AT_ONCE).map(async (id) => {
        const handle = client.workflow.getHandle(incidentWorkflowId(id));
        try {
          await client.withDeadline(Date.now() + DEADLINE_MS, () => handle.signal(incidentChanged));
        } catch (error) {
          if (error instanceof WorkflowNotFoundError) return;
          log.warn({ err: error, incident_id: id }, 'could not signal the incident workflow');
        }
      }),
    );
  }
}

/** Calls Temporal with a deadline, and converts its errors into answers. @throws Conflict, Unavailable */
export async function answered<T>(
  client: Client,
  call: () => Promise<T>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  try {
    return await client.withDeadline(Date.now() + deadlineMs, call);
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) {
      const { cause } = error;
      if (cause instanceof ApplicationFailure && cause.type !== ENDED_MEANWHILE) {
        throw new Conflict(cause.message);
      }
      throw new Unavailable('the workflow cannot carry out the request now: try again', 5, error);
    }
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
      throw new Unavailable(
        'Temporal or its workers did not answer in time; the request may still be carried out',
        5,
        error,
      );
    }
    if (isTemporalError(error)) throw new Unavailable(reasonOf(error), 5, error);
    throw error;
  }
}

/** The answer for each gRPC status code, in the words of the caller. */
const REASONS: Readonly<Record<number, string>> = {
  4: 'Temporal did not answer in time; the request may still be carried out',
  5: 'Temporal has no such namespace or workflow',
  7: "Temporal refuses Tocsin's credentials",
  8: 'Temporal accepts no more requests at the moment',
  14: 'Temporal is unavailable',
  16: "Temporal refuses Tocsin's credentials",
};

/** Says why Temporal failed, in words for the caller. Temporal's own message goes only to the log. */
export function reasonOf(error: unknown): string {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (isGrpcServiceError(e)) return REASONS[Number(e.code)] ?? 'Temporal refused the request';
  }
  return 'Temporal is unavailable';
}

function isTemporalError(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (isGrpcServiceError(e) || /^(ServiceError|Workflow)/.test(e.name)) return true;
  }
  return false;
}
