import type { Worker, WorkflowBundleOption } from '@temporalio/worker';
import { loadConfig } from '../../../config.ts';
import type { Orm } from '../../../db/orm.ts';
import type { WorkerContext } from '../../../workers/context.ts';
import { silent } from './log.ts';
import type { Closing } from './stage.ts';
import type { Temporal } from './temporal.ts';

/** What the workers of every role are made from. `settings` are added to the environment. */
export function workerContext(parts: {
  database: { url: string; orm: Orm };
  temporal: Pick<Temporal, 'namespace' | 'nativeConnection' | 'client'>;
  workflowBundle: WorkflowBundleOption;
  settings?: Record<string, string>;
}): WorkerContext {
  const { url, orm } = parts.database;
  const { namespace, nativeConnection: connection, client } = parts.temporal;
  const config = loadConfig({ DATABASE_URL: url, TEMPORAL_NAMESPACE: namespace, ...parts.settings });
  const { workflowBundle } = parts;
  return { config, orm, client, connection, workflowBundle, log: silent, clock: Date.now };
}

/**
 * Returns a function that runs workers, which returns one that stops them. Those that run when the stage
 * closes are stopped together, because that takes less time than one after another.
 */
export function runner(closing: Closing) {
  const stops = new Set<() => Promise<void>>();
  closing.defer(async () => {
    await Promise.all([...stops].map((stop) => stop()));
  });
  return (workers: readonly Worker[]): (() => Promise<void>) => {
    const ended = Promise.all(workers.map((worker) => worker.run()));
    const stop = async () => {
      if (stops.delete(stop)) for (const worker of workers) worker.shutdown();
      await ended;
    };
    stops.add(stop);
    return stop;
  };
}
