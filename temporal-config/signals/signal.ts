import type { Client } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import type { Orm } from '../../db/orm.ts';
import type { Startable } from '../../workflows/startable.ts';
import { askTemporal } from '../ask.ts';

/** How long a signal may take, in milliseconds. After that the sweep repeats it. */
export const SIGNAL_DEADLINE_MS = 5000;

/** What signalling needs: Temporal, and the database for the row of a workflow that must be started. */
export interface Signaller {
  orm: Orm;
  client: Client;
}

/** Signals a workflow, and starts it if it does not run. @throws when Temporal is down */
export async function signalWithStart(
  client: Client,
  { type, ...options }: Startable,
  signal: SignalDefinition,
): Promise<void> {
  const call = () => client.workflow.signalWithStart(type, { ...options, signal, signalArgs: [] });
  await askTemporal(client, call, SIGNAL_DEADLINE_MS);
}
