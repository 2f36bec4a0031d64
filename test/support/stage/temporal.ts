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

/** A client of a Temporal server that does not answer. */
export function awayClient(): Pick<Temporal, 'client' | 'namespace'> {
  // Nobody listens at this port. The connection is never closed: the SDK may still retry a signal, which
  // would throw on a closed connection long after the test.
  const client = new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) });
  const { withDeadline } = client;
  // A shorter deadline, so that tests without Temporal do not wait.
  client.withDeadline = (_deadline, call) => withDeadline.call(client, Date.now() + 300, call) as never;
  return { client, namespace: 'default' };
}
