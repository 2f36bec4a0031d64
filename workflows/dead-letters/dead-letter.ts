import { ApplicationFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  patched,
  proxyActivities,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ProducerActivities } from '../../activities/dead-letters/index.ts';
import type { RedriveActivities } from '../../activities/dead-letters/redrive.ts';
import {
  addDeadLetter,
  type DeadLetterInput,
  deadLetterStatus,
  discardDeadLetters,
  redriveDeadLetters,
} from '../messages.ts';
import { QUEUES } from '../queues.ts';
import { FAILURES, retryPolicies } from '../retry-policies.ts';
import { SOURCE_ID } from '../search-attributes.ts';
import { continueShown, shows } from '../shown.ts';
import { HeldLetters } from './held-letters.ts';

/** How many letters one activity redrives. Only for runs that began before redrives were limited. */
const LETTERS_A_REDRIVE = 20;
/** How many redrives are on the ingest queue at once. Each is an activity, like each batch of a producer. */
const REDRIVES_AT_ONCE = 4;
const LETTERS_A_DISCARD = 500;
/** The patch of runs that redrive on the ingest queue. */
const THROTTLED = 'redrive-on-ingest-queue';

const keeper = proxyActivities<ProducerActivities>({ ...retryPolicies.record, taskQueue: QUEUES.producers });
/**
 * For requests: somebody waits for the answer, so if PostgreSQL is down, the activity fails within a minute.
 */
const answering = proxyActivities<ProducerActivities>({
  ...retryPolicies.record,
  scheduleToCloseTimeout: '1m',
  taskQueue: QUEUES.producers,
});
/** Redrives use the queue of the producers' batches, so that its limit applies to them too. */
const throttled = proxyActivities<RedriveActivities>({ ...retryPolicies.record, taskQueue: QUEUES.ingest });
const throttledAnswering = proxyActivities<RedriveActivities>({
  ...retryPolicies.record,
  scheduleToCloseTimeout: '1m',
  taskQueue: QUEUES.ingest,
});

/**
 * Handles the dead letters of one source. It holds batches until PostgreSQL has stored them, retries
 * transient failures on a schedule, and redrives or discards letters on request. It ends when there is
 * nothing to hold or retry, because the letters are in their rows.
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
      const add = ({ redriven, failed }: typeof outcome) => {
        letters.settled(redriven);
        outcome.redriven.push(...redriven);
        outcome.failed.push(...failed);
      };
      const summary = (some: string[]) => ({ summary: `redrive ${some.length} as asked` });
      if (patched(THROTTLED)) {
        const one = async (id: string) =>
          add(
            await throttledAnswering.redriveBatches.executeWithOptions(summary([id]), [
              { source_id, ids: [id] },
            ]),
          );
        for (const some of chunks(ids, REDRIVES_AT_ONCE)) await Promise.all(some.map(one));
        return outcome;
      }
      for (const some of chunks(ids, LETTERS_A_REDRIVE)) {
        add(await answering.redriveBatches.executeWithOptions(summary(some), [{ source_id, ids: some }]));
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
  // A cancelled workflow still stores the batches that it holds, because nobody else may have them.
  // Housekeeping restarts the retries from their rows.
  let cancelled = false;
  void CancellationScope.current().cancelRequested.catch(() => {
    cancelled = true;
    letters.changed();
  });

  /** Cancelled when the run ends. The next run makes the retries that have not begun. */
  const retries = new CancellationScope();
  const retry = async (id: string): Promise<void> => {
    letters.begun(id);
    try {
      const { failed } = await throttled.redriveBatches.executeWithOptions({ summary: 'retry 1' }, [
        { source_id, ids: [id] },
      ]);
      letters.retried([id], failed, Date.now());
    } catch (error) {
      if (!isCancellation(error)) throw error;
    } finally {
      letters.ended(id);
    }
  };

  const over = () => letters.empty || (cancelled && letters.toRecord().length === 0);
  await CancellationScope.nonCancellable(async () => {
    while (!over() && !workflowInfo().continueAsNewSuggested) {
      letters.describe();
      const held = letters.toRecord();
      const due = letters.dueAt(Date.now());
      if (held.length > 0) {
        await keeper.recordDeadLetters.executeWithOptions({ summary: `record ${held.length}` }, [held]);
        letters.recorded(held, Date.now());
      } else if (due.length > 0 && patched(THROTTLED)) {
        // Not awaited, because new letters must be stored even while the ingest queue is stopped.
        for (const id of due.slice(0, letters.room(REDRIVES_AT_ONCE))) void retries.run(() => retry(id));
        await letters.untilDue(letters.room(REDRIVES_AT_ONCE) === 0);
      } else if (due.length > 0) {
        const some = due.slice(0, LETTERS_A_REDRIVE);
        const summary = `retry ${some.length}`;
        const { failed } = await keeper.redriveBatches.executeWithOptions({ summary }, [
          { source_id, ids: some },
        ]);
        letters.retried(some, failed, Date.now());
      } else {
        await letters.untilDue();
      }
      if (over()) await condition(allHandlersFinished);
    }
    letters.describe();
    retries.cancel();
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
