import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { wakeRule } from '../workflows/messages.ts';
import { ruleWorkflow } from '../workflows/startable.ts';
import { signalAll, signalWithStart } from './signal.ts';
import { SignalQueue } from './signal-queue.ts';

/**
 * Wakes a rule's workflow, starting it if it doesn't run. The rows say what is to be done; this only says that
 * something is. @throws when Temporal is away: whoever swept up the rows before will sweep again
 */
export async function signalRule(client: Client, ruleId: string): Promise<void> {
  await signalWithStart(client, ruleWorkflow(ruleId), wakeRule);
}

/** Wakes rules, a few at a time. A failure is logged and left to the sweep. */
export async function signalRules(client: Client, ids: readonly string[], log: Logger): Promise<void> {
  await signalAll(client, ids.map(ruleWorkflow), wakeRule, failed(log));
}

/** A queue of rules to be woken, for whoever must not wait for Temporal. */
export function ruleSignals(client: Client, log: Logger): SignalQueue {
  return new SignalQueue((id) => signalRule(client, id), failed(log));
}

const failed = (log: Logger) => (error: unknown) => log.warn({ err: error }, 'could not signal a rule');
