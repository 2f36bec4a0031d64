import type { Client } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import type { Orm } from '../../db/orm.ts';
import type { Startable } from '../../workflows/startable.ts';
import { askTemporal } from '../ask.ts';

/** How long a signal may take before the sweep is left to repeat it, in milliseconds. */
export const SIGNAL_DEADLINE_MS = 5000;

/** Signalling needs both: if the workflow must be started first, its row says what it shows. */
export interface Signaller {
  orm: Orm;
  client: Client;
}

/** Signals a workflow, starting it if it doesn't run. @throws when Temporal is away */
export async function signalWithStart(
  client: Client,
  { type, ...options }: Startable,
  signal: SignalDefinition,
): Promise<void> {
  const call = () => client.workflow.signalWithStart(type, { ...options, signal, signalArgs: [] });
  await askTemporal(client, call, SIGNAL_DEADLINE_MS);
}
