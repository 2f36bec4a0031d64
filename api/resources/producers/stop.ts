import { producerWorkflowId } from '../../../workflows/ids.ts';
import { stopProducer } from '../../../workflows/messages.ts';
import type { ApiDeps } from '../../deps.ts';
import { updateIfRunning } from '../../temporal.ts';

/**
 * Asks a producer's workflow to end once what it began is finished, which a throttled queue may put off.
 * Nothing is wrong if it doesn't run. @throws Unavailable when Temporal or its workers are away
 */
export async function stopProducerWorkflow({ client }: ApiDeps, id: string): Promise<void> {
  await updateIfRunning(client, producerWorkflowId(id), stopProducer, [{ actor: 'api' }]);
}

/** Waits until a producer that was stopped has finished what it began, for `ms` milliseconds at the most. */
export async function untilProducerEnded({ client }: ApiDeps, id: string, ms: number): Promise<void> {
  try {
    await client.withDeadline(Date.now() + ms, () =>
      client.workflow.getHandle(producerWorkflowId(id)).result(),
    );
  } catch {
    // Ended some other way, never ran, or takes longer: what it still appends goes with the next call.
  }
}
