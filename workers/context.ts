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

/** What all workers of a process share. main.ts builds it once. */
export interface WorkerContext {
  config: Config;
  orm: Orm;
  client: Client;
  connection: NativeConnection;
  /** The workflow code; absent in a process that runs no workflows. */
  workflowBundle: WorkflowBundleOption | undefined;
  log: Logger;
  /** Epoch milliseconds. */
  clock: () => number;
  /** The search attributes that workflows may set. If absent, Temporal is asked. */
  known?: KnownAttributes;
  /** Interceptors that measure activities. */
  interceptors?: WorkerInterceptors;
}

/**
 * Options that all workers share. After SIGTERM an activity may run for 20 s, which is longer than a channel
 * or a probe may take; then it is cancelled. If it ignores that, the worker stops 5 s later by itself and
 * logs the reason. The rest of the process can then close before the supervisor (30 s) or Compose (45 s)
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
 * Facts about the installation that the Web UI shows. Workflows cannot know them, so activities return them.
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
