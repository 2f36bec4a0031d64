import type { Worker } from '@temporalio/worker';
import type { Ingest } from '../../../ingest/outcome.ts';
import type { WorkerContext } from '../../../workers/context.ts';
import { incidentWorkers } from '../../../workers/incidents.ts';
import { ingestWorkers } from '../../../workers/ingest.ts';
import { notifyWorkers } from '../../../workers/notify.ts';
import { ruleWorkers } from '../../../workers/rules.ts';

/** Makes the real workers of all roles. */
export async function allWorkers(context: WorkerContext, ingest: Ingest): Promise<Worker[]> {
  const workers = [
    await ingestWorkers({ ...context, ingest }),
    await ruleWorkers(context),
    await incidentWorkers(context),
    await notifyWorkers(context),
  ];
  return workers.flat();
}
