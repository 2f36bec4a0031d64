import type { Client } from '@temporalio/client';
import { type ruleChanged, wakeRule } from '../workflows/messages.ts';
import { ruleWorkflow } from '../workflows/startable.ts';

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
  const { type, ...options } = ruleWorkflow(ruleId);
  await client.withDeadline(Date.now() + SIGNAL_DEADLINE_MS, () =>
    client.workflow.signalWithStart(type, { ...options, signal, signalArgs: [] }),
  );
}
