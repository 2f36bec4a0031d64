import type { DeadLetter } from '../../db/entities/dead-letter.ts';
import { waitingDeadLetters } from '../../db/queries/dead-letters/reads.ts';
import { failedAgain, insertDeadLetters, settleDeadLetters } from '../../db/queries/dead-letters/writes.ts';
import type { Event } from '../../domain/events/event.ts';
import type { Batch } from '../../workflows/messages.ts';
import { eventsOf, refusedRows, storeEvents } from '../producers/batch-events.ts';
import type { IngestActivityDependencies } from '../producers/emit.ts';
import { invalidBatch } from '../producers/failures.ts';

type Dependencies = Pick<IngestActivityDependencies, 'ingest' | 'orm' | 'clock' | 'retentionDays'>;

/**
 * Makes the activities that redrive dead letters. They run on the queue `ingest`, whose limit applies to
 * redrives as it does to producers.
 */
export function createRedriveActivities(deps: Dependencies) {
  const { orm, clock } = deps;
  return {
    /**
     * Tries again to store dead letters of a source, and marks those that succeeded as redriven. Ids that no
     * longer wait are in neither list. A letter that fails again stays, with the new reason.
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
          await failedAgain(orm, {
            id: letter.id,
            reason: message,
            field: invalidFieldOf(error),
            at: clock(),
          });
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
  };
}

export type RedriveActivities = ReturnType<typeof createRedriveActivities>;

async function redrive(letter: DeadLetter, deps: Dependencies): Promise<void> {
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
  // The redrive ends the deaf span of the batch. Events that are still refused get deaf spans of their own.
  const rows = refusedRows(batch, events, refused, now).map((row, i) => {
    const { occurred_at } = refused[i]!.event;
    return { ...row, unheard: { from_at: occurred_at, to_at: occurred_at } };
  });
  await insertDeadLetters(deps.orm, rows);
}

class StillInvalid extends Error {
  readonly field: string;
  constructor(field: string, reason: string) {
    super(reason);
    this.field = field;
  }
}

const invalidFieldOf = (error: unknown) => (error instanceof StillInvalid ? error.field : null);

/**
 * A check reports what it found at its time. If the dead letter lacks the result, there is nothing to store.
 */
async function probedNothing(): Promise<never> {
  throw invalidBatch('the check was not made, and its time has passed');
}
