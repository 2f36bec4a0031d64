import { WorkflowNotFoundError } from '@temporalio/client';
import type { Logger } from 'pino';
import { sqlOf } from '../../db/orm.ts';
import { shownRules } from '../../db/queries/system/shown.ts';
import { ruleWorkflowId } from '../../workflows/ids.ts';
import { wakeRule } from '../../workflows/messages.ts';
import { ruleWorkflow } from '../../workflows/startable.ts';
import { askTemporal } from '../ask.ts';
import { SignalQueue } from './queue.ts';
import { SIGNAL_DEADLINE_MS, type Signaller, signalWithStart } from './signal.ts';

/**
 * Signals a rule's workflow, and starts it if it does not run. The signal carries nothing: the rows say what
 * to do.
 * @throws when Temporal is down; the sweep then signals again
 */
export async function signalRule({ orm, client }: Signaller, ruleId: string): Promise<void> {
  try {
    // The workflow nearly always runs. Then no row is read, however often events wake it.
    const call = () => client.workflow.getHandle(ruleWorkflowId(ruleId)).signal(wakeRule);
    await askTemporal(client, call, SIGNAL_DEADLINE_MS);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const rule = (await shownRules(sqlOf(orm), [ruleId])).get(ruleId) ?? null;
    await signalWithStart(client, ruleWorkflow(ruleId, rule), wakeRule);
  }
}

/** Makes the queue that signals rule workflows. A failure is only logged, and the sweep signals again. */
export function ruleSignals(signaller: Signaller, log: Logger): SignalQueue {
  return new SignalQueue(
    (id) => signalRule(signaller, id),
    (error) => log.warn({ err: error }, 'could not signal a rule'),
  );
}
