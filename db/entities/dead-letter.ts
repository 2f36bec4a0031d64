import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { Json } from '../../domain/events/event.ts';

/** A dead letter: a whole batch that could not be stored, or one invalid event of it. */
export const DeadLetterEntity = defineEntity({
  name: 'DeadLetter',
  tableName: 'dead_letters',
  properties: {
    id: p.uuid().primary(),
    sourceId: p.string().length(100),
    kind: p.string().length(8).$type<'batch' | 'event'>(),
    state: p.string().length(16).$type<'waiting' | 'redriven' | 'discarded'>(),
    /** Kind of failure, as named in workflows/retry-policies.ts. */
    failure: p.string().length(32),
    reason: p.text(),
    /** The invalid field of an event; null for a batch. */
    field: p.string().length(200).nullable(),
    /** The batch or the event that was to be stored. */
    content: p.json<Json>(),
    eventCount: p.integer(),
    attempts: p.integer().default(0),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
  },
  indexes: [
    { name: 'dead_letters_created_at_index', properties: ['createdAt', 'id'] },
    { name: 'dead_letters_source_id_index', properties: ['sourceId', 'state'] },
  ],
});
export type DeadLetter = InferEntity<typeof DeadLetterEntity>;
