import { type Client, WithStartWorkflowOperation, type WorkflowHandle } from '@temporalio/client';
import { sql } from 'kysely';
import { DeadLetterEntity } from '../../db/entities/dead-letter.ts';
import { ProducerEntity } from '../../db/entities/producer.ts';
import { type Orm, sqlOf } from '../../db/orm.ts';
import type { Json } from '../../domain/events/event.ts';
import { type ProducerSettings, withoutSecrets } from '../../domain/producers/producer.ts';
import { deadLetterWorkflowId, producerWorkflowId } from '../../workflows/ids.ts';
import {
  configureProducer,
  deadLetterStatus,
  type ProducerInput,
  type ProducerStatus,
  producerStatus,
  stopProducer,
} from '../../workflows/messages.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { waitFor } from '../support/wait-for.ts';

/** What people do with producers, and queries for what became of it. */
export function producersIn({ orm, client }: { orm: Orm; client: Client }) {
  const em = () => orm.em.fork();
  return {
    /** Does what the API does: stores the row, then starts the workflow by update-with-start. */
    async start(sourceId: string, settings: ProducerSettings, paused = false) {
      const now = new Date();
      await em().upsert(ProducerEntity, {
        ...{ id: sourceId, settings, paused, createdAt: now, updatedAt: now },
      });
      await client.workflow.executeUpdateWithStart(configureProducer, {
        args: [{ settings: withoutSecrets(settings), paused }],
        startWorkflowOperation: new WithStartWorkflowOperation('producer', {
          workflowId: producerWorkflowId(sourceId),
          taskQueue: QUEUES.producers,
          args: [{ source_id: sourceId, settings: withoutSecrets(settings) } satisfies ProducerInput],
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      });
      return client.workflow.getHandle(producerWorkflowId(sourceId));
    },
    status: (handle: WorkflowHandle): Promise<ProducerStatus> => handle.query(producerStatus),
    async stop(handle: WorkflowHandle): Promise<void> {
      await handle.executeUpdate(stopProducer, { args: [{ actor: 'test' }] });
      await handle.result();
    },
    row: (sourceId: string) => em().findOneOrFail(ProducerEntity, sourceId),
    letters: (sourceId: string) =>
      em().find(DeadLetterEntity, { sourceId }, { orderBy: { createdAt: 'asc', id: 'asc' } }),
    deadLetters: (sourceId: string) => client.workflow.getHandle(deadLetterWorkflowId(sourceId)),
    held: (sourceId: string) =>
      client.workflow.getHandle(deadLetterWorkflowId(sourceId)).query(deadLetterStatus),
    /** The stored events of a source, in the order of their sequence. */
    async stored(sourceId: string) {
      const { rows } = await sql<{ sequence: number; severity: string; payload: Json; occurred_at: number }>`
        select (payload ->> 'sequence')::int as sequence, severity, payload,
          round(extract(epoch from occurred_at) * 1000)::float8 as occurred_at
        from events where source_id = ${sourceId} order by 1, 2`.execute(sqlOf(orm));
      return rows;
    },
    storedCount: (sourceId: string, count: number) =>
      waitFor(
        async () => {
          const { rows } = await sql<{ n: number }>`
            select count(*)::int as n from events where source_id = ${sourceId}`.execute(sqlOf(orm));
          return rows[0]!.n >= count;
        },
        { what: `${count} events of ${sourceId}` },
      ),
  };
}
