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

/** A queue that wakes rules. A failure is logged, and the sweep signals again. */
export function ruleSignals(signaller: Signaller, log: Logger): SignalQueue {
  return new SignalQueue(
    (id) => signalRule(signaller, id),
    (error) => log.warn({ err: error }, 'could not signal a rule'),
  );
}
