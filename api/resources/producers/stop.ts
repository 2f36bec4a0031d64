import { producerWorkflowId } from '../../../workflows/ids.ts';
import { stopProducer } from '../../../workflows/messages.ts';
import type { ApiDeps } from '../../deps.ts';
import { updateIfRunning } from '../../temporal.ts';

/**
 * Asks a producer's workflow to end after its running batches, which may take long while the ingest queue is
 * limited. It is fine if the workflow does not run.
 * @throws Unavailable when Temporal or its workers do not answer
 */
export async function stopProducerWorkflow({ client }: ApiDeps, id: string): Promise<void> {
  await updateIfRunning(client, producerWorkflowId(id), stopProducer, [{ actor: 'api' }]);
}

/** Waits up to `ms` milliseconds until a stopped producer has finished its batches. */
export async function untilProducerEnded({ client }: ApiDeps, id: string, ms: number): Promise<void> {
  try {
    await client.withDeadline(Date.now() + ms, () =>
      client.workflow.getHandle(producerWorkflowId(id)).result(),
    );
  } catch {
    // The workflow failed, never ran, or takes longer. The next call removes what it still stores.
  }
}
