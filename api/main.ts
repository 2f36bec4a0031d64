import { setFlagsFromString } from 'node:v8';
import { Client, Connection } from '@temporalio/client';
import { pino } from 'pino';
import { type Config, ConfigError, loadConfig } from '../config.ts';
import { connect } from '../db/orm.ts';
import { DAY_MS } from '../domain/events/event.ts';
import { createAlertReceiver } from '../ingest/alerts/receive.ts';
import { createIngest } from '../ingest/ingest.ts';
import { Deafness } from '../process/deafness.ts';
import { DiskGuard } from '../process/disk/guard.ts';
import { diskMeasure } from '../process/disk/space.ts';
import { startHeartbeat } from '../process/heartbeat.ts';
import { watchDisk } from '../process/metrics/disk.ts';
import { observeIngest, watchBuffer } from '../process/metrics/ingest.ts';
import { createRegistry } from '../process/metrics/registry.ts';
import { watchSystem } from '../process/metrics/system.ts';
import { KnownAttributes } from '../temporal-config/known-attributes.ts';
import { startsShown } from '../temporal-config/starts.ts';
import { createApp } from './app.ts';
import { openDoor } from './auth/door.ts';
import { isLoopback } from './auth/settings.ts';
import { addressesBehind } from './http/address.ts';
import { apiServer } from './http/server.ts';
import { Rejections } from './intake/rejections/rejections.ts';

/** The longest that PostgreSQL may work on one statement of a request, in milliseconds. */
const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * How many new connections may wait until the process accepts them. The kernel resets those beyond it, and
 * their senders learn no reason. With Node's default of 511 that happened when 2,000 senders overloaded the
 * API. The kernel's `somaxconn` is the upper bound.
 */
const BACKLOG = 4096;

/** How long a stopping process waits for open requests, in milliseconds. */
const DRAIN_MS = 10_000;

/**
 * How far the heap may grow beyond the memory in use before V8 collects garbage, in percent. Without this, V8
 * let garbage pile up: in an overload the process held 490 MiB while 90 MiB were in use. With it, the process
 * held 330 MiB at the same rate.
 */
const HEAP_GROWTH_PERCENT = 40;

/** Runs the API process. It starts, and stores events, even while Temporal is down. */
async function main(config: Config): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  const log = pino({ level: config.LOG_LEVEL, base: { role: 'api' } });
  const clock = Date.now;
  const orm = await connect(config.DATABASE_URL, config.DATABASE_POOL, STATEMENT_TIMEOUT_MS);
  const connection = Connection.lazy(config.temporal);
  const namespace = config.TEMPORAL_NAMESPACE;
  const known = new KnownAttributes({ connection, namespace, log });
  const starts = startsShown({ api: config.PUBLIC_URL, known });
  const client = new Client({ connection, namespace, interceptors: { workflow: [starts] } });
  const deafness = new Deafness('api');
  const disk = new DiskGuard({
    measure: diskMeasure({ orm, path: config.DISK_PATH, quota: config.DISK_BYTES }),
    limits: { warnPercent: config.DISK_WARN_PERCENT, refusePercent: config.DISK_REFUSE_PERCENT },
    clock,
    log,
    deafness,
  }).start();
  const registry = createRegistry();
  const observer = observeIngest(registry, 'http');
  const limits = { bufferEvents: config.BUFFER_EVENTS, appendEvents: config.APPEND_EVENTS };
  const ingest = createIngest({ orm, client, clock, log, limits, disk, observer });
  watchBuffer(registry, ingest, config.BUFFER_EVENTS);
  watchDisk(registry, disk);
  watchSystem(registry, { orm, client });
  const rejections = new Rejections({ orm, clock, log, registry, observer, deafness }).start();
  const addresses = addressesBehind(config.TRUSTED_PROXIES);
  const door = openDoor({
    ...{ orm, clock, log, auth: config.AUTH },
    ...{ ingestToken: config.INGEST_TOKEN, bootstrapKey: config.BOOTSTRAP_KEY },
    ...{ publicUrl: config.PUBLIC_URL, addresses },
  });
  const alerts = createAlertReceiver({ orm, ingest, disk, client, clock, log });
  const stopped = new AbortController();
  const app = createApp({
    stopping: stopped.signal,
    orm,
    client,
    ingest,
    access: door.access,
    addresses,
    keyring: door.keyring,
    alerts,
    disk,
    rejections,
    registry,
    clock,
    log,
    settings: {
      retentionMs: config.RETENTION_DAYS * DAY_MS,
      channels: config.CHANNELS.map(({ name }) => name),
      publicUrl: config.PUBLIC_URL,
      local: isLoopback(config.HOST),
    },
  });
  const server = apiServer(app.callback(), { keepAliveMs: config.KEEP_ALIVE_SECONDS * 1000 });
  const heartbeat = startHeartbeat({
    orm,
    role: 'api',
    log,
    hearing: { load: () => ingest.load(), deafness },
  });

  let stopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    stopped.abort();
    log.info({ signal }, 'stopping: answering open requests and storing accepted events');
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    // A connection becomes idle once its answer is sent, and Node would then keep it open.
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    const patience = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    await closed;
    clearInterval(idle);
    clearTimeout(patience);
    await alerts.stop();
    await ingest.stop();
    await heartbeat.stop();
    await rejections.stop();
    await disk.stop();
    await door.close();
    await orm.close(true);
    // The connection to Temporal stays open until the process exits: the SDK may be about to retry a call,
    // and would throw if the connection were closed.
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));

  server.on('error', (error: NodeJS.ErrnoException) => {
    const reason = error.code === 'EADDRINUSE' ? 'another program listens there already' : error.message;
    fail(`The API can't listen on ${config.HOST}:${config.PORT}: ${reason}.`);
  });
  server.listen({ port: config.PORT, host: config.HOST, backlog: BACKLOG }, () => {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : config.PORT;
    const who =
      config.AUTH === 'open' ? 'open to everyone on this machine, without keys' : 'keys are required';
    const { HOST: host, AUTH: auth } = config;
    log.info({ host, port, auth }, `listening on http://${host}:${port}, ${who}`);
  });
}

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

try {
  await main(loadConfig());
} catch (error) {
  if (error instanceof ConfigError) fail(error.message);
  fail(`The API could not start: ${(error as Error).message}`);
}
