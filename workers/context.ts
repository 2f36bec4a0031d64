import type { Client } from '@temporalio/client';
import type {
  NativeConnection,
  WorkerInterceptors,
  WorkerOptions,
  WorkflowBundleOption,
} from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Orm } from '../db/orm.ts';
import type { Installation } from '../domain/temporal-ui/about.ts';
import { KnownAttributes } from '../temporal-config/known-attributes.ts';

/** What every worker is made from. Built once a process, in main.ts. */
export interface WorkerContext {
  config: Config;
  orm: Orm;
  client: Client;
  connection: NativeConnection;
  /** Absent in a process that runs no workflows. */
  workflowBundle: WorkflowBundleOption | undefined;
  log: Logger;
  /** Epoch milliseconds. */
  clock: () => number;
  /** Search attributes that workflows may set. If absent, Temporal is asked. */
  known?: KnownAttributes;
  /** Measure what its activities do. */
  interceptors?: WorkerInterceptors;
}

/**
 * What all workers have in common. After SIGTERM an activity may finish for 20 s, longer than a channel or a
 * probe may take, and is cancelled then. One that ignores that keeps its process 5 s more: the worker ends by
 * itself, says why, and lets the rest of the process close before the supervisor (30 s) or Compose (45 s)
 * kills it.
 */
export function commonOptions({ config, connection, interceptors }: WorkerContext) {
  return {
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    interceptors,
    shutdownGraceTime: '20s',
    shutdownForceTime: '25s',
  } satisfies Partial<WorkerOptions>;
}

/**
 * Facts for the Web UI that workflows cannot know. Activities return them, because only a process knows them.
 */
export function installationOf({
  config,
  connection,
  log,
  ...context
}: WorkerContext): () => Promise<Installation> {
  const known =
    context.known ?? new KnownAttributes({ connection, namespace: config.TEMPORAL_NAMESPACE, log });
  return async () => ({ api: config.PUBLIC_URL, attributes: await known.names() });
}
