import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import {
  bundleWorkflowCode,
  NativeConnection,
  type Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { sql } from 'kysely';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { createApp } from '../../api/app.ts';
import { openDoor } from '../../api/auth/door.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { addressesBehind } from '../../api/http/address.ts';
import { problemsOf } from '../../api/http/openapi.ts';
import type { Route } from '../../api/http/route.ts';
import { apiServer } from '../../api/http/server.ts';
import { Rejections } from '../../api/intake/rejections/rejections.ts';
import { allRoutes } from '../../api/resources/index.ts';
import { loadConfig } from '../../config.ts';
import { connect, type Orm, sqlOf } from '../../db/orm.ts';
import { DAY_MS } from '../../domain/events/event.ts';
import { createAlertReceiver } from '../../ingest/alerts/receive.ts';
import { createIngest } from '../../ingest/ingest.ts';
import { Deafness } from '../../process/deafness.ts';
import type { DiskReport } from '../../process/disk/guard.ts';
import { observeIngest } from '../../process/metrics/ingest.ts';
import { incidentWorkers } from '../../workers/incidents.ts';
import { ingestWorkers } from '../../workers/ingest.ts';
import { freshDatabase, freshNamespace, temporalAddress } from '../support/servers.ts';

export type Stage = Awaited<ReturnType<typeof stage>>;

export const TOKEN = 'a-token-of-our-own';
export const RETENTION_DAYS = 30;

/** A disk whose free space is unknown. */
const UNKNOWN_DISK: DiskReport = {
  state: 'unknown',
  ...{ free_bytes: null, total_bytes: null, known_by: null, measured_at: null },
};

/** Nobody listens at this port. */
const NOWHERE = '127.0.0.1:1';

const silence = () => {};
const quiet = { log: silence, trace: silence, debug: silence, info: silence, warn: silence, error: silence };
let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  body: any;
}

type Options = {
  /**
   * `away`: Temporal does not answer. `idle`: a server without workers. `working`: a server with workers for
   * producers and incidents.
   */
  temporal?: 'away' | 'idle' | 'working';
  channels?: string[];
  /** How long a connection may make no progress, in milliseconds. */
  stalledMs?: number;
  /** Proxies whose reported client addresses the API believes. */
  proxies?: string[];
  /** Replaces some of what the API is made from. */
  change?: (deps: ApiDeps) => Partial<ApiDeps>;
};

/** Starts the API on its own database. */
export async function stage({
  temporal = 'away',
  channels = [],
  stalledMs,
  proxies = [],
  change = () => ({}),
}: Options = {}) {
  const database = await freshDatabase();
  const orm = await connect(database.url, 8);
  const log = pino({ level: 'silent' });
  const engine = await startTemporal(temporal, database.url, orm);
  const registry = new Registry();
  const observer = observeIngest(registry, 'http');
  const ingest = createIngest({
    ...{ orm, client: engine.client, clock: Date.now, log, observer },
    limits: { bufferEvents: 20_000, appendEvents: 2_000 },
  });
  const rejections = new Rejections({
    ...{ orm, clock: Date.now, log, registry, observer, deafness: new Deafness('api') },
  });
  const alerts = createAlertReceiver({ orm, ingest, client: engine.client, clock: Date.now, log });
  const settings = {
    retentionMs: RETENTION_DAYS * DAY_MS,
    channels,
    publicUrl: 'http://127.0.0.1:8000',
    local: true,
  };
  const addresses = addressesBehind(proxies);
  const door = openDoor({
    orm,
    clock: Date.now,
    log,
    auth: 'open',
    ingestToken: TOKEN,
    ...{ publicUrl: settings.publicUrl, addresses },
  });
  const stopped = new AbortController();
  const deps: ApiDeps = {
    stopping: stopped.signal,
    orm,
    client: engine.client,
    ingest,
    access: door.access,
    addresses,
    keyring: door.keyring,
    alerts,
    disk: { report: () => UNKNOWN_DISK },
    registry,
    rejections,
    log,
    clock: Date.now,
    settings,
  };
  const all = { ...deps, ...change(deps) };
  const server = apiServer(createApp(all).callback(), { keepAliveMs: 60_000, stalledMs });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const routes = allRoutes(all);

  /** Sends a request and checks the answer against the route's declaration. */
  async function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : raw ? (body as string) : JSON.stringify(body),
    });
    const text = await response.text();
    const answer = {
      status: response.status,
      headers: response.headers,
      body: text ? parse(text) : undefined,
    };
    checkAnswer(routes, method, path, answer);
    return answer;
  }

  return {
    url,
    server,
    orm,
    rejections: all.rejections,
    routes,
    namespace: engine.namespace,
    client: engine.client,
    call,
    get: (path: string) => call('GET', path),
    post: (path: string, body?: unknown) => call('POST', path, body),
    put: (path: string, body: unknown) => call('PUT', path, body),
    delete: (path: string) => call('DELETE', path),
    /** Sends an event. */
    send: (event: unknown, headers: Record<string, string> = { 'x-ingest-token': TOKEN }) =>
      call('POST', '/internal/events', event, headers),
    query: async <T>(text: string): Promise<T[]> => (await sql.raw<T>(text).execute(sqlOf(orm))).rows,
    /** Ends endless answers. */
    stop: () => stopped.abort(),
    async close() {
      stopped.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await alerts.stop();
      await ingest.stop();
      await all.rejections.stop();
      await engine.close();
      await orm.close(true);
      await database.drop();
    },
  };
}

const problem = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int(),
  detail: z.string().min(1),
  errors: z.array(z.strictObject({ field: z.string(), reason: z.string().min(1) })).optional(),
  lines: z.int().optional(),
});

/** Checks that an answer is one that its route declares, and that an error reveals no internals. */
function checkAnswer(routes: readonly Route[], method: string, path: string, answer: Answer): void {
  const { status, headers, body } = answer;
  const route = routeOf(routes, method, path);
  const declared = route?.responses[status];
  if (declared) {
    // If there are several media types, the schema describes the JSON one.
    const described = !declared.media || /json$/.test(headers.get('content-type') ?? '');
    if (declared.schema && described) declared.schema.parse(body);
    else if (!declared.media) assert.equal(body, undefined);
    return;
  }
  if (status < 400) return;
  checkFailure(route, answer);
  assert.doesNotMatch(JSON.stringify(body), /node_modules|\.ts:\d|select |insert |at Object|ECONN/i);
  if (status === 503) assert.match(headers.get('retry-after') ?? '', /^\d+$/);
  if (!route || [403, 405].includes(status)) return;
  assert.ok(
    problemsOf(route).includes(status),
    `${method} ${route.path} answered ${status}, which it does not declare`,
  );
}

/** Checks that an error has the form of its protocol, by default RFC 9457. */
function checkFailure(route: Route | undefined, { status, headers, body }: Answer): void {
  const type = headers.get('content-type') ?? '';
  if (!route?.dialect) {
    assert.equal(type, 'application/problem+json');
    assert.equal(problem.parse(body).status, status);
    return;
  }
  const schema = route.dialect.content[type.split(';')[0]!];
  assert.ok(schema, `${type} is not declared`);
  if (type.includes('json')) schema.parse(body);
}

function routeOf(routes: readonly Route[], method: string, path: string): Route | undefined {
  const bare = path.split('?')[0]!;
  return routes.find(
    (route) =>
      route.method === method.toLowerCase() &&
      new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(bare),
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function startTemporal(kind: NonNullable<Options['temporal']>, url: string, orm: Orm) {
  if (kind === 'away') {
    const connection = Connection.lazy({ address: NOWHERE });
    const client = new Client({ connection });
    const { withDeadline } = client;
    // A shorter deadline, so that tests without Temporal do not wait.
    client.withDeadline = (_deadline, call) => withDeadline.call(client, Date.now() + 300, call) as never;
    // Never closed: the SDK may still retry a signal, which would throw on a closed connection long after the
    // test.
    return { client, namespace: 'default', close: async () => {} };
  }
  const address = await temporalAddress();
  const namespace = await freshNamespace();
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace, identity: 'test' });
  const workers = kind === 'working' ? await startWorkers({ address, namespace, client, url, orm }) : null;
  return {
    client,
    namespace,
    async close() {
      await workers?.close();
      await connection.close();
    },
  };
}

async function startWorkers(there: {
  address: string;
  namespace: string;
  client: Client;
  url: string;
  orm: Orm;
}) {
  const { client, orm, namespace } = there;
  bundle ??= bundleWorkflowCode({
    workflowsPath: join(import.meta.dirname, '../../workflows/index.ts'),
    logger: quiet,
  });
  const config = loadConfig({ DATABASE_URL: there.url, TEMPORAL_NAMESPACE: namespace });
  const connection = await NativeConnection.connect({ address: there.address });
  const log = pino({ level: 'silent' });
  const clock = Date.now;
  const limits = { bufferEvents: 20_000, appendEvents: 2_000 };
  const ingest = createIngest({ orm, client, clock, log, limits, ofProducers: true });
  const context = { config, orm, client, connection, workflowBundle: await bundle, log, clock };
  const workers: Worker[] = [
    ...(await ingestWorkers({ ...context, ingest })),
    ...(await incidentWorkers(context)),
  ];
  const ended = Promise.all(workers.map((worker) => worker.run()));
  return {
    async close() {
      for (const worker of workers) worker.shutdown();
      await ended;
      await ingest.stop();
      await connection.close();
    },
  };
}
