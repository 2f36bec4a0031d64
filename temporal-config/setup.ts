import { Connection } from '@temporalio/client';
import { register } from './register.ts';

/**
 * Prepares a Temporal cluster: `node temporal-config/setup.ts` registers TEMPORAL_NAMESPACE (default `default`) and our
 * search attributes at TEMPORAL_ADDRESS (default 127.0.0.1:7233). Run it as often as you like.
 */
const address = process.env.TEMPORAL_ADDRESS || '127.0.0.1:7233';
const namespace = process.env.TEMPORAL_NAMESPACE || 'default';
try {
  const connection = await Connection.connect({ address, connectTimeout: 30_000 });
  await register(connection, { namespace });
  await connection.close();
  process.stdout.write(`Temporal at ${address} has namespace ${namespace} and its search attributes\n`);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(`Temporal at ${address} could not be prepared: ${reason}\n`);
  process.exitCode = 1;
}
