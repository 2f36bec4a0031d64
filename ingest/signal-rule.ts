import type { Client } from '@temporalio/client';
import { ruleWorkflowId } from '../workflows/ids.ts';
import { type ruleChanged, wakeRule } from '../workflows/messages.ts';
import { QUEUES } from '../workflows/queues.ts';

/** How long a signal may take before the sweep is left to repeat it, in milliseconds. */
const SIGNAL_DEADLINE_MS = 5000;

/**
 * Wakes a rule's workflow, starting it if it doesn't run. The rows say what is to be done; this only says that
 * something is. @throws when Temporal is away: whoever swept up the rows before will sweep again
 */
export async function signalRule(
  client: Client,
  ruleId: string,
  signal: typeof wakeRule | typeof ruleChanged = wakeRule,
): Promise<void> {
  await client.withDeadline(Date.now() + SIGNAL_DEADLINE_MS, () =>
    client.workflow.signalWithStart('alertRule', {
      workflowId: ruleWorkflowId(ruleId),
      taskQueue: QUEUES.rules,
      args: [{ rule_id: ruleId }],
      staticSummary: `Judges the windows of rule ${ruleId}`,
      signal,
      signalArgs: [],
    }),
  );
}
