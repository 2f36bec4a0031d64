import { producerWorkflowId } from '../workflows/ids.ts';
import { stopProducer } from '../workflows/messages.ts';
import type { ApiDeps } from './deps.ts';
import { updateIfRunning } from './workflows.ts';

/**
 * Asks a producer's workflow to end once what it began is finished, which a throttled queue may put off. Nothing is wrong if it
 * doesn't run. @throws Unavailable when Temporal or its workers are away
 */
export async function stopProducerWorkflow({ client }: ApiDeps, id: string): Promise<void> {
  await updateIfRunning(client, producerWorkflowId(id), stopProducer, [{ actor: 'api' }]);
}
