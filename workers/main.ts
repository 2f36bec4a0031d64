import { Client } from '@temporalio/client';
import { NativeConnection, type NativeConnectionOptions, type Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { type Config, ConfigError, loadConfig } from '../config.ts';
import { connect } from '../db/orm.ts';
import { createIngest } from '../ingest/ingest.ts';
import { unobserved } from '../ingest/observer.ts';
import { Deafness } from '../process/deafness.ts';
import { DiskGuard } from '../process/disk/guard.ts';
import { diskMeasure } from '../process/disk/space.ts';
import { startHeartbeat } from '../process/heartbeat.ts';
import { observeIngest, watchBuffer } from '../process/metrics/ingest.ts';
import { createRegistry } from '../process/metrics/registry.ts';
import { KnownAttributes } from '../temporal-config/known-attributes.ts';
import { startsShown } from '../temporal-config/starts.ts';
import { WORKER_ROLES, type WorkerRole } from '../workflows/queues.ts';
import type { WorkerContext } from './context.ts';
import { createHealth } from './health.ts';
import { keepHousekeeping } from './housekeeper.ts';
import { incidentWorkers } from './incidents.ts';
import { ingestWorkers } from './ingest.ts';
import { measureActivities } from './measure.ts';
import { serveMetrics } from './metrics-server.ts';
import { notifyWorkers } from './notify.ts';
import { ruleWorkers } from './rules.ts';
import { installRuntime } from './runtime.ts';
import { readSdkMetrics } from './sdk-metrics.ts';
import { startSweep } from './sweep.ts';
import { workflowBundle } from './workflow-bundle.ts';

const role = process.argv[2] as WorkerRole;

try {
  if (!WORKER_ROLES.includes(role)) {
    throw new ConfigError(`give the role of this worker, one of: ${WORKER_ROLES.join(', ')}`);
  }
  await main(role, loadConfig());
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : `worker ${role} failed: ${withCauses(error)}`);
  // A process whose start failed half-way must not stay alive.
  process.exit(1);
}

/** Runs one role, or all, until SIGTERM or SIGINT. Then it finishes the work it has begun. */
async function main(role: WorkerRole, config: Config): Promise<void> {
  // Before any work has begun, the process stops by exiting.
  let stop: () => void = () => process.exit(0);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop());
  const log = pino({ level: config.LOG_LEVEL, base: { role } });
  const { METRICS_HOST: host, METRICS_PORT: port } = config;
  const exporter = await installRuntime(log, { measured: port !== undefined });
  const clock = Date.now;
  const orm = await connect(config.DATABASE_URL, config.DATABASE_POOL);
  const connection = await connectTemporal(config.temporal);
  const namespace = config.TEMPORAL_NAMESPACE;
  const known = new KnownAttributes({ connection, namespace, log });
  const starts = startsShown({ api: config.PUBLIC_URL, known });
  const client = new Client({ connection, namespace, interceptors: { workflow: [starts] } });
  const plays = (part: WorkerRole) => role === part || role === 'all';
  const deafness = new Deafness('ingest');
  const disk = plays('ingest')
    ? new DiskGuard({
        measure: diskMeasure({ orm, path: config.DISK_PATH, quota: config.DISK_BYTES }),
        limits: { warnPercent: config.DISK_WARN_PERCENT, refusePercent: config.DISK_REFUSE_PERCENT },
        clock,
        log,
        deafness,
      }).start()
    : null;
  const registry = createRegistry();
  const observer = plays('ingest') ? observeIngest(registry, 'producer') : unobserved;
  const limits = { bufferEvents: config.BUFFER_EVENTS, appendEvents: config.APPEND_EVENTS };
  const ingest = disk
    ? createIngest({ orm, client, clock, log, limits, disk, observer, ofProducers: true })
    : null;
  if (ingest) watchBuffer(registry, ingest, config.BUFFER_EVENTS);
  const context: WorkerContext = {
    config,
    orm,
    client,
    connection,
    workflowBundle: role === 'notify' ? undefined : await workflowBundle(config.WORKFLOW_BUNDLE),
    log,
    clock,
    known,
    interceptors: measureActivities(registry, observer),
  };
  const workers: Worker[] = [
    ...(ingest ? await ingestWorkers({ ...context, ingest }) : []),
    ...(plays('rules') ? await ruleWorkers(context) : []),
    ...(plays('incidents') ? await incidentWorkers(context) : []),
    ...(plays('notify') ? await notifyWorkers(context) : []),
  ];
  const heartbeats = WORKER_ROLES.filter((part) => part !== 'all' && plays(part)).map((part) =>
    startHeartbeat({
      orm,
      role: part,
      log,
      ...(part === 'ingest' && ingest ? { hearing: { load: ingest.load, deafness } } : {}),
    }),
  );
  const health = createHealth(workers, heartbeats);
  const sdk = readSdkMetrics(exporter, { registry, log });
  const scraped = port === undefined ? null : await serveMetrics(registry, { host, port, log, health, sdk });
  const sweep = plays('rules') ? startSweep(context) : null;
  const housekeeper = plays('rules') ? keepHousekeeping(context) : null;
  const shutdown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  log.info({ queues: workers.map((worker) => worker.options.taskQueue) }, 'worker ready');
  try {
    // If one worker stops with an error, the others stop too. All finish their work before the process ends.
    const running = workers.map((worker) => worker.run().finally(shutdown));
    stop = () => {
      log.info('stopping: finishing the tasks in progress');
      shutdown();
    };
    const ended = await Promise.allSettled(running);
    const failed = ended.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  } finally {
    await housekeeper?.stop();
    await sweep?.stop();
    await ingest?.stop();
    await disk?.stop();
    await scraped?.close();
    await Promise.all(heartbeats.map((heartbeat) => heartbeat.stop()));
    await connection.close();
    await orm.close(true);
  }
  log.info('worker stopped');
}

async function connectTemporal(options: NativeConnectionOptions): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(options);
  } catch (error) {
    throw new Error(`Temporal does not answer at ${options.address}`, { cause: error });
  }
}

/** Writes an error with its causes. Often only the last cause says what to fix. */
function withCauses(error: unknown): string {
  const messages: string[] = [];
  for (let e = error; e instanceof Error && !messages.includes(e.message); e = e.cause)
    messages.push(e.message);
  return messages.join(': ') || String(error);
}
