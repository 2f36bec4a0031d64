import type { Client } from '@temporalio/client';
import type { NativeConnection, WorkerInterceptors, WorkflowBundleOption } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Orm } from '../db/orm.ts';

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
  /** Measure what its activities do. */
  interceptors?: WorkerInterceptors;
}
