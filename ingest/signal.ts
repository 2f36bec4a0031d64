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
  await client.withDeadline(Date.now() + SIGNAL_DEADLINE_MS, () =>
    client.workflow.signalWithStart(type, { ...options, signal, signalArgs: [] }),
  );
}

/** Signals workflows, a few at a time. What fails goes to `failed`, and keeps no other from its signal. */
export async function signalAll(
  client: Client,
  workflows: readonly Startable[],
  signal: SignalDefinition,
  failed: (error: unknown) => void,
): Promise<void> {
  for (let i = 0; i < workflows.length; i += PARALLEL) {
    const few = workflows.slice(i, i + PARALLEL);
    const results = await Promise.allSettled(few.map((one) => signalWithStart(client, one, signal)));
    for (const result of results) if (result.status === 'rejected') failed(result.reason);
  }
}
