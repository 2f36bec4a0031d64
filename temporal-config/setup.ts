import { connectTo, readTemporal } from './connection.ts';
import { register } from './register.ts';

/**
 * Prepares a Temporal cluster: `node temporal-config/setup.ts` registers TEMPORAL_NAMESPACE (default
 * `default`) and our search attributes at TEMPORAL_ADDRESS (default 127.0.0.1:7233). Run it as often as you
 * like. TEMPORAL_SETUP=skip: it leaves the server as it is.
 */
let where = '';
try {
  const target = readTemporal(process.env);
  const { address, namespace } = target;
  where = ` at ${address}`;
  if (process.env.TEMPORAL_SETUP === 'skip') {
    process.stdout.write(`TEMPORAL_SETUP=skip: namespace ${namespace}${where} is left as it is\n`);
  } else {
    const connection = await connectTo(target, 30_000);
    await register(connection, { namespace });
    await connection.close();
    process.stdout.write(`Temporal${where} has namespace ${namespace} and its search attributes\n`);
  }
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `Temporal${where} could not be prepared: ${reason}\nIf others prepare it, set TEMPORAL_SETUP=skip.\n`,
  );
  process.exitCode = 1;
}
