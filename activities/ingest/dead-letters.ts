import { activityInfo, heartbeat } from '@temporalio/activity';
import { type Client, WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import {
  failedAgain,
  insertDeadLetters,
  type NewDeadLetter,
  settleDeadLetters,
  type WaitingDeadLetter,
  waitingDeadLetters,
} from '../../db/queries/dead-letter-writes.ts';
import { producerRow } from '../../db/queries/producer-progress.ts';
import type { Here } from '../../domain/about.ts';
import type { Event } from '../../domain/event.ts';
import { withoutSecrets } from '../../domain/producer.ts';
import { deadLetterId } from '../../domain/simulate.ts';
import { batchSize } from '../../domain/tick.ts';
import { addDeadLetter, type Batch, type HeldBatch } from '../../workflows/messages.ts';
import { FAILURES } from '../../workflows/policies.ts';
import { deadLetterWorkflow } from '../../workflows/startable.ts';
import { eventsOf, refusedRows, storeEvents } from './batch-events.ts';
import type { IngestActivityDependencies } from './emit.ts';
import { invalidBatch } from './failures.ts';

/** How long a producer waits before it asks a full dead-letter workflow again. */
const FULL_RETRY_DELAY = '30s';
/** Heartbeat of a batch that its dead-letter workflow has. */
const HELD = 'held';

/** The activities of queue `producers`: what has to go on while ingest is throttled. */
export function createProducerActivities(
  deps: Omit<IngestActivityDependencies, 'probe'> & { client: Client; here: () => Promise<Here> },
) {
  const { orm, client, clock, here } = deps;
  return {
    /** What the source's row says; null when it is gone. */
    async producerRow(sourceId: string) {
      const row = await producerRow(orm, sourceId);
      return row && { ...row, settings: withoutSecrets(row.settings), here: await here() };
    },

    /**
     * Puts a batch that failed for good on record. Its source's dead-letter workflow retries what may pass, and holds
     * what PostgreSQL does not take; the batch stays here too until it has its row, since anybody may end a workflow.
     * @throws ApplicationFailure, always retryable: without a row, the producer keeps the batch.
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

    /** Makes the rows of held batches. A batch that is there already stays as it is. */
    async recordDeadLetters(held: HeldBatch[]): Promise<void> {
      await insertDeadLetters(orm, held.map(batchRow));
    },

    /**
     * Sends dead letters of a source through the append once more and settles those that made it. Ids that no longer
     * wait are in neither list. A letter that fails stays as it is, with the new reason.
     */
    async redriveBatches(input: { source_id: string; ids: string[] }) {
      const stored: string[] = [];
      const failed: string[] = [];
      for (const letter of await waitingDeadLetters(orm, input.source_id, input.ids)) {
        try {
          await redrive(letter, deps);
          stored.push(letter.id);
        } catch (error) {
          failed.push(letter.id);
          const { message } = error as Error;
          await failedAgain(orm, { id: letter.id, reason: message, field: fieldOf(error), at: clock() });
        }
      }
      const { source_id: sourceId } = input;
      const redriven = await settleDeadLetters(orm, {
        sourceId,
        ids: stored,
        state: 'redriven',
        at: clock(),
      });
      return { redriven, failed };
    },

    /** Gives dead letters up: they stay on record as discarded. */
    async discardBatches({ source_id: sourceId, ids }: { source_id: string; ids: string[] }) {
      return {
        discarded: await settleDeadLetters(orm, { sourceId, ids, state: 'discarded', at: clock() }),
      };
    },
  };

  /** Gives a batch to its source's dead-letter workflow. */
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

type Dependencies = Pick<IngestActivityDependencies, 'ingest' | 'orm' | 'clock' | 'retentionDays'>;

async function redrive(letter: WaitingDeadLetter, deps: Dependencies): Promise<void> {
  const now = deps.clock();
  if (letter.kind === 'event') {
    const event = letter.content as unknown as Event;
    const { refused } = await storeEvents([event], { ...deps, now });
    if (refused[0]) throw new StillInvalid(refused[0].field, refused[0].reason);
    return;
  }
  const { batch, events: kept } = letter.content as unknown as { batch: Batch; events?: Event[] };
  const events = kept ?? (await eventsOf(batch, probedNothing));
  const { refused } = await storeEvents(events, { ...deps, now });
  await insertDeadLetters(deps.orm, refusedRows(batch, events, refused, now));
}

class StillInvalid extends Error {
  readonly field: string;
  constructor(field: string, reason: string) {
    super(reason);
    this.field = field;
  }
}

const fieldOf = (error: unknown) => (error instanceof StillInvalid ? error.field : null);

/** A check belongs to its time: a dead letter that doesn't carry what was found has nothing to store. */
async function probedNothing(): Promise<never> {
  throw invalidBatch('the check was not made, and its time has passed');
}

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
  };
}
