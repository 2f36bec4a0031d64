import { ApplicationFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  proxyActivities,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ProducerActivities } from '../activities/ingest/dead-letters.ts';
import { HeldLetters } from './held-letters.ts';
import {
  addDeadLetter,
  type DeadLetterInput,
  deadLetterStatus,
  discardDeadLetters,
  redriveDeadLetters,
} from './messages.ts';
import { FAILURES, recordPolicy } from './policies.ts';
import { QUEUES } from './queues.ts';
import { SOURCE_ID } from './search-attributes.ts';
import { continueShown, shows } from './shown.ts';

/** Letters that go through the append in one activity, so that it ends well within its time. */
const LETTERS_A_REDRIVE = 20;
const LETTERS_A_DISCARD = 500;

const keeper = proxyActivities<ProducerActivities>({ ...recordPolicy, taskQueue: QUEUES.producers });
/** Somebody waits for the answer: while PostgreSQL is away that is a no within a minute. */
const answering = proxyActivities<ProducerActivities>({
  ...recordPolicy,
  scheduleToCloseTimeout: '1m',
  taskQueue: QUEUES.producers,
});

/**
 * The dead letters of one source: holds batches until PostgreSQL has them, retries those whose cause may pass on a
 * schedule, and redrives or discards when told. Ends when nothing is left to hold or retry: the rows are the record.
 */
export async function deadLetter({ source_id, resume }: DeadLetterInput): Promise<void> {
  const letters = new HeldLetters(source_id, resume);

  setHandler(deadLetterStatus, () => letters.status());
  setHandler(addDeadLetter, (held) => letters.add(held), {
    validator: (held) => letters.requireRoom(held.id),
  });
  setHandler(
    redriveDeadLetters,
    async ({ ids }) => {
      const outcome: { redriven: string[]; failed: string[] } = { redriven: [], failed: [] };
      for (const some of chunks(ids, LETTERS_A_REDRIVE)) {
        const { redriven, failed } = await answering.redriveBatches.executeWithOptions(
          { summary: `redrive ${some.length} as asked` },
          [{ source_id, ids: some }],
        );
        letters.settled(redriven);
        outcome.redriven.push(...redriven);
        outcome.failed.push(...failed);
      }
      return outcome;
    },
    { validator: ({ ids }) => requireIds(ids) },
  );
  setHandler(
    discardDeadLetters,
    async ({ ids }) => {
      const outcome: { discarded: string[] } = { discarded: [] };
      for (const some of chunks(ids, LETTERS_A_DISCARD)) {
        const { discarded } = await answering.discardBatches({ source_id, ids: some });
        letters.settled(discarded);
        outcome.discarded.push(...discarded);
      }
      return outcome;
    },
    { validator: ({ ids }) => requireIds(ids) },
  );
  if (!shows()) upsertSearchAttributes([{ key: SOURCE_ID, value: source_id }]);
  // A cancelled one still puts on record what it holds: nobody else may have it. Its rows bring it back for the rest.
  let cancelled = false;
  void CancellationScope.current().cancelRequested.catch(() => {
    cancelled = true;
    letters.changed();
  });

  const over = () => letters.empty || (cancelled && letters.toRecord().length === 0);
  await CancellationScope.nonCancellable(async () => {
    while (!over() && !workflowInfo().continueAsNewSuggested) {
      letters.describe();
      const held = letters.toRecord();
      const due = letters.dueAt(Date.now()).slice(0, LETTERS_A_REDRIVE);
      if (held.length > 0) {
        await keeper.recordDeadLetters.executeWithOptions({ summary: `record ${held.length}` }, [held]);
        letters.recorded(held, Date.now());
      } else if (due.length > 0) {
        const summary = `retry ${due.length}`;
        const { failed } = await keeper.redriveBatches.executeWithOptions({ summary }, [
          { source_id, ids: due },
        ]);
        letters.retried(due, failed, Date.now());
      } else {
        await letters.untilDue();
      }
      if (over()) await condition(allHandlersFinished);
    }
    letters.describe();
    await condition(allHandlersFinished);
  });
  if (!over()) await continueShown<typeof deadLetter>({ source_id, resume: letters.resume() });
}

function requireIds(ids: string[]): void {
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > 1000) {
    throw ApplicationFailure.nonRetryable('ids must name 1 to 1000 dead letters', FAILURES.rejected);
  }
}

function chunks<T>(list: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) =>
    list.slice(i * size, (i + 1) * size),
  );
}
