import { activityInfo, heartbeat } from '@temporalio/activity';
import { type Client, WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import {
  insertDeadLetters,
  type NewDeadLetter,
  settleDeadLetters,
} from '../../db/queries/dead-letters/writes.ts';
import { producerRow } from '../../db/queries/producers/progress.ts';
import { withoutSecrets } from '../../domain/producers/producer.ts';
import { deadLetterId } from '../../domain/producers/simulate.ts';
import { batchSize } from '../../domain/producers/tick.ts';
import type { Installation } from '../../domain/temporal-ui/about.ts';
import { addDeadLetter, type HeldBatch } from '../../workflows/messages.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';
import { deadLetterWorkflow } from '../../workflows/startable.ts';
import type { IngestActivityDependencies } from '../producers/emit.ts';
import { createRedriveActivities } from './redrive.ts';

/** How long a producer waits before it asks a full dead-letter workflow again. */
const FULL_RETRY_DELAY = '30s';
/** The heartbeat detail that says: the dead-letter workflow has the batch. */
const HELD = 'held';

/** The activities of the queue `producers`. They run even while ingest is limited. */
export function createProducerActivities(
  deps: Omit<IngestActivityDependencies, 'probe'> & {
    client: Client;
    installation: () => Promise<Installation>;
  },
) {
  const { orm, client, clock, installation } = deps;
  return {
    /** Reads the producer's row; null if it is gone. */
    async producerRow(sourceId: string) {
      const row = await producerRow(orm, sourceId);
      return row && { ...row, settings: withoutSecrets(row.settings), installation: await installation() };
    },

    /**
     * Turns a batch that failed for good into a dead letter. It gives the batch to the dead-letter workflow
     * of its source, which retries transient failures and holds batches while PostgreSQL is down. Somebody
     * may terminate that workflow, so this activity also keeps the batch until its row exists.
     * @throws ApplicationFailure, always retryable: without a row, the producer keeps the batch
     */
    async deadLetterBatch(failed: Omit<HeldBatch, 'id'>): Promise<void> {
      const { source_id, first_sequence, tick_at } = failed.batch;
      const held = {
        ...failed,
        batch: { ...failed.batch, settings: withoutSecrets(failed.batch.settings) },
        id: deadLetterId('batch', source_id, first_sequence, tick_at),
      };
      const missing = await insertDeadLetters(orm, [batchRow(held)]).then(
        () => null,
        (error: unknown) => error as Error,
      );
      if (missing === null && held.failure !== FAILURES.transient) return;
      if (missing === null || activityInfo().heartbeatDetails !== HELD) await hold(held);
      if (missing === null) return;
      heartbeat(HELD);
      const message = `the dead-letter workflow holds the batch until PostgreSQL has stored it: ${missing.message}`;
      throw ApplicationFailure.create({ message, type: FAILURES.transient, cause: missing });
    },

    /** Stores the rows of held batches. Existing rows stay unchanged. */
    async recordDeadLetters(held: HeldBatch[]): Promise<void> {
      await insertDeadLetters(orm, held.map(batchRow));
    },

    /** The same activities as on the queue `ingest`, for runs that began before redrives were limited. */
    ...createRedriveActivities(deps),

    /** Marks dead letters as discarded. They stay on record. */
    async discardBatches({ source_id: sourceId, ids }: { source_id: string; ids: string[] }) {
      return {
        discarded: await settleDeadLetters(orm, { sourceId, ids, state: 'discarded', at: clock() }),
      };
    },
  };

  /** Gives a batch to the dead-letter workflow of its source. */
  async function hold(held: HeldBatch): Promise<void> {
    const { type, ...options } = deadLetterWorkflow(held.batch.source_id);
    try {
      await client.workflow.executeUpdateWithStart(addDeadLetter, {
        args: [held],
        startWorkflowOperation: new WithStartWorkflowOperation(type, {
          ...options,
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      });
    } catch (error) {
      if (!(error instanceof WorkflowUpdateFailedError)) throw error;
      const message = error.cause?.message ?? error.message;
      throw ApplicationFailure.create({ message, type: 'full', nextRetryDelay: FULL_RETRY_DELAY });
    }
  }
}

export type ProducerActivities = ReturnType<typeof createProducerActivities>;

function batchRow(held: HeldBatch): NewDeadLetter {
  const { batch, events } = held;
  return {
    id: held.id,
    source_id: batch.source_id,
    kind: 'batch',
    failure: held.failure || FAILURES.transient,
    reason: held.reason,
    field: null,
    content: events ? { batch, events } : { batch },
    event_count: batchSize(batch.settings, batch) || 0,
    created_at: held.failed_at,
    unheard: { from_at: batch.from_at, to_at: batch.tick_at },
  };
}
