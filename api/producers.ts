import { WorkflowUpdateRPCTimeoutOrCancelledError } from '@temporalio/client';
import { producerWorkflowId } from '../workflows/ids.ts';
import { stopProducer } from '../workflows/messages.ts';
import type { ApiDeps } from './deps.ts';
import { Unavailable } from './problem.ts';
import { updateIfRunning } from './workflows.ts';

/**
 * Asks a producer's workflow to end once what it began is finished, which a throttled queue may put off. Nothing is wrong if it
 * doesn't run. @throws Unavailable when Temporal is away
 */
export async function stopProducerWorkflow({ client }: ApiDeps, id: string): Promise<void> {
  try {
    await updateIfRunning(client, producerWorkflowId(id), stopProducer, [{ actor: 'api' }]);
  } catch (error) {
    const asked =
      error instanceof Unavailable && error.cause instanceof WorkflowUpdateRPCTimeoutOrCancelledError;
    if (!asked) throw error;
  }
}
