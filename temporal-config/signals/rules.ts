import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { Logger } from 'pino';
import { type Orm, sqlOf } from '../../db/orm.ts';
import { shownRules } from '../../db/queries/system/shown.ts';
import { ruleWorkflowId } from '../../workflows/ids.ts';
import { wakeRule } from '../../workflows/messages.ts';
import { ruleWorkflow } from '../../workflows/startable.ts';
import { askTemporal } from '../ask.ts';
import { SignalQueue } from './queue.ts';
import { PARALLEL, SIGNAL_DEADLINE_MS, signalWithStart } from './signal.ts';

/** Signalling needs both: if the workflow must be started first, its row says what it shows. */
export interface Signaller {
  orm: Orm;
  client: Client;
}

/**
 * Wakes a rule's workflow, starting it if it doesn't run. The rows say what is to be done; this only says
 * that something is. @throws when Temporal is away: whoever swept up the rows before will sweep again
 */
export async function signalRule({ orm, client }: Signaller, ruleId: string): Promise<void> {
  try {
    // It nearly always runs. Then nothing is read, however often events wake it.
    const call = () => client.workflow.getHandle(ruleWorkflowId(ruleId)).signal(wakeRule);
    await askTemporal(client, call, SIGNAL_DEADLINE_MS);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const rule = (await shownRules(sqlOf(orm), [ruleId])).get(ruleId) ?? null;
    await signalWithStart(client, ruleWorkflow(ruleId, rule), wakeRule);
  }
}

/** Wakes rules, a few at a time. A failure is logged and left to the sweep. */
export async function signalRules(signaller: Signaller, ids: readonly string[], log: Logger): Promise<void> {
  for (let i = 0; i < ids.length; i += PARALLEL) {
    await Promise.all(ids.slice(i, i + PARALLEL).map((id) => signalRule(signaller, id).catch(failed(log))));
  }
}

/** A queue of rules to be woken, for whoever must not wait for Temporal. */
export function ruleSignals(signaller: Signaller, log: Logger): SignalQueue {
  return new SignalQueue((id) => signalRule(signaller, id), failed(log));
}

const failed = (log: Logger) => (error: unknown) => log.warn({ err: error }, 'could not signal a rule');
