import { existsSync, writeFileSync } from 'node:fs';
import { connectTo, type TemporalTarget, withoutTemporal } from '../temporal-config/connection.ts';
import { register } from '../temporal-config/register.ts';
import { readyBlock } from './banner.ts';
import { apiIsReady, ready, workersRun } from './processes/readiness.ts';
import { apiNursery, runScript } from './processes/role.ts';
import { askedToStop } from './processes/stop-request.ts';
import { addSamples } from './samples.ts';
import { readSettings, type Settings } from './settings.ts';
import { fileError, StartupError } from './startup-error.ts';
import { System } from './system.ts';

/** `npm start`: the whole system on one machine, kept running until Ctrl-C. */

function log(line: string): void {
  console.log(`  ${new Date().toTimeString().slice(0, 8)}  ${line}`);
}

async function start(settings: Settings, system: System): Promise<void> {
  await system.claim();
  await system.requirePorts();
  log('Starting PostgreSQL, Temporal, the API and the workers');
  const [databaseUrl, temporal] = await Promise.all([
    settings.databaseUrl ?? system.postgres(),
    settings.temporal ? existingTemporal(settings.temporal, settings.temporalSetup) : system.temporal(),
  ]);
  const { apiUrl, apiKey, auth } = settings;
  const env = {
    PUBLIC_URL: apiUrl,
    // Without keys, whoever can create checks already uses this machine. So checks of private networks are
    // allowed.
    ...(auth === 'open' ? { HTTP_CHECK_NETWORKS: 'private' } : {}),
    ...(temporal.uiUrl ? { TEMPORAL_UI_URL: temporal.uiUrl } : {}),
    // Settings for reaching another Temporal server do not apply to our own.
    ...(settings.temporal ? process.env : withoutTemporal(process.env)),
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: settings.namespace,
    PORT: String(settings.apiPort),
  };
  const logFile = `${settings.dataDir}/logs/migrate.log`;
  await runScript('The database could not be prepared', {
    name: 'migrate',
    args: ['db/migrate.ts'],
    env,
    logFile,
    log,
  });
  const since = Date.now();
  const api = await system.role('api', [apiNursery, 'api/main.ts'], env);
  const workers = await system.role('workers', ['workers/main.ts', 'all'], env);
  await ready('The API', () => apiIsReady(apiUrl), api, log);
  await ready('The workers', () => workersRun(apiUrl, since, apiKey), workers, log);
  const samples = settings.samples ? await samplesOnce(settings) : undefined;
  console.log(
    `\n${readyBlock({ apiUrl, uiUrl: temporal.uiUrl, dataDir: settings.dataDir, auth, samples })}\n`,
  );
}

/** Adds samples once in the life of a data directory: people who removed them do not want them again. */
async function samplesOnce({ apiUrl, apiKey, dataDir }: Settings) {
  const marker = `${dataDir}/samples-made`;
  if (existsSync(marker)) return undefined;
  const made = await addSamples({ url: apiUrl, key: apiKey });
  writeFileSync(marker, '');
  return made;
}

/**
 * Gives an existing Temporal server the namespace and search attributes it lacks, unless TEMPORAL_SETUP=skip.
 */
async function existingTemporal(
  target: TemporalTarget,
  setup: boolean,
): Promise<{ address: string; uiUrl?: string }> {
  const { address, namespace } = target;
  try {
    const connection = await connectTo(target, 10_000);
    if (setup) await register(connection, { namespace, timeoutMs: 20_000 });
    else log(`TEMPORAL_SETUP=skip: namespace ${namespace} and its search attributes are left as they are`);
    await connection.close();
    return { address, uiUrl: process.env.TEMPORAL_UI_URL };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(
      `Temporal at ${address} (TEMPORAL_ADDRESS) cannot be used: ${reason}${setup ? '. If others prepare it, set TEMPORAL_SETUP=skip.' : ''}`,
    );
  }
}

function explain(error: unknown, dataDir: string): string {
  const explained = fileError(dataDir, error);
  if (explained instanceof StartupError) return explained.message;
  return `Tocsin could not start: ${explained instanceof Error ? explained.message : explained}`;
}

async function main(): Promise<number> {
  const asked = askedToStop();
  // The terminal may close before this process ends, so errors of stdout are ignored.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});

  let settings: Settings;
  try {
    settings = readSettings();
  } catch (error) {
    console.error(explain(error, '.data'));
    return 1;
  }
  const system = new System(settings, log);
  let code = 0;
  try {
    await Promise.race([start(settings, system).then(() => asked), asked]);
    log('Stopping: workers and API finish what they have begun, then Temporal and PostgreSQL');
  } catch (error) {
    console.error(explain(error, settings.dataDir));
    code = 1;
  }
  try {
    await system.stop();
    if (code === 0) log('Stopped');
  } catch (error) {
    console.error(explain(error, settings.dataDir));
    code = 1;
  }
  return code;
}

process.exit(await main());
