import { z } from 'zod';
import type { DeadLetter } from '../../../db/entities/dead-letter.ts';
import type { DeadLetterSummary } from '../../../db/queries/dead-letters/reads.ts';
import { actor, time, uuid } from '../../http/parameters.ts';

/** How many dead letters one request redrives or discards at most. */
export const BULK_LIMIT = 1000;

export const deadLetterKind = z.enum(['batch', 'event']);
export const deadLetterState = z.enum(['waiting', 'redriven', 'discarded']);

export const deadLetterOut = z
  .object({
    id: z.guid(),
    source_id: z.string(),
    kind: deadLetterKind.meta({
      description: '`batch`: a whole batch; `event`: one invalid event of a batch',
    }),
    state: deadLetterState,
    failure: z.string().meta({ description: 'Kind of failure' }),
    reason: z.string(),
    field: z.string().nullable().meta({
      description:
        'The invalid field, if the dead letter is one invalid event; null if it is a batch that could not be stored',
    }),
    event_count: z.int(),
    attempts: z.int(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'DeadLetter' });

export const deadLetterDetailOut = deadLetterOut
  .extend({ content: z.unknown().meta({ description: 'The batch or the event that Tocsin tried to store' }) })
  .meta({ id: 'DeadLetterDetail' });

/** Which dead letters to redrive or discard: all waiting ones that match. */
export const selection = z
  .object({
    actor,
    ids: z.array(uuid).max(BULK_LIMIT).nullish(),
    source_id: z.string().max(100).nullish(),
    failure: z.string().max(32).nullish(),
    kind: deadLetterKind.nullish(),
  })
  .refine(
    ({ ids, source_id, failure, kind }) => ids || source_id || failure || kind,
    'give at least one of ids, source_id, failure and kind',
  )
  .meta({ id: 'DeadLetterSelection' });

export const redrivenOut = z
  .object({ redriven: z.array(z.guid()), failed: z.array(z.guid()) })
  .meta({ id: 'Redriven' });
export const discardedOut = z.object({ discarded: z.array(z.guid()) }).meta({ id: 'Discarded' });

/** Converts a dead letter into the form that the API answers in lists. */
export function showDeadLetter(letter: DeadLetterSummary): z.output<typeof deadLetterOut> {
  return {
    id: letter.id,
    source_id: letter.sourceId,
    kind: letter.kind,
    state: letter.state,
    failure: letter.failure,
    reason: letter.reason,
    field: letter.field ?? null,
    event_count: letter.eventCount,
    attempts: letter.attempts,
    created_at: letter.createdAt.toISOString(),
    updated_at: letter.updatedAt.toISOString(),
  };
}

/** Converts a dead letter into the form that the API answers, with its content. */
export function showDetail(letter: DeadLetter): z.output<typeof deadLetterDetailOut> {
  return { ...showDeadLetter(letter), content: letter.content };
}
