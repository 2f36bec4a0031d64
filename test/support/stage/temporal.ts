import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { freshNamespace, temporalAddress } from '../servers.ts';
import type { Closing } from './stage.ts';

/** Connections to a namespace of its own. */
export type Temporal = Awaited<ReturnType<typeof connectTemporal>>;

/** Connects to the test run's Temporal server, in a new namespace. */
export async function connectTemporal(closing: Closing, { namespaceOf = freshNamespace } = {}) {
  const address = await temporalAddress();
  const namespace = await namespaceOf();
  const connection = await Connection.connect({ address });
  closing.defer(() => connection.close());
  // Workers use a connection of their own kind.
  const nativeConnection = await NativeConnection.connect({ address });
  closing.defer(() => nativeConnection.close());
  const client = new Client({ connection, namespace, identity: 'test' });
  return { namespace, connection, nativeConnection, client };
}
