import type { Client } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import type { Startable } from '../workflows/startable.ts';

/** How long a signal may take before the sweep is left to repeat it, in milliseconds. */
const SIGNAL_DEADLINE_MS = 5000;

/** Most workflows signalled at once. */
export const PARALLEL = 16;

/** Signals a workflow, starting it if it doesn't run. @throws when Temporal is away */
export async function signalWithStart(
  client: Client,
  { type, ...options }: Startable,
  signal: SignalDefinition,
): Promise<void> {
  await inTime(client, () => client.workflow.signalWithStart(type, { ...options, signal, signalArgs: [] }));
}

/** Calls Temporal, which has the time of one signal to answer. */
export function inTime<T>(client: Client, call: () => Promise<T>): Promise<T> {
  return client.withDeadline(Date.now() + SIGNAL_DEADLINE_MS, call);
}
