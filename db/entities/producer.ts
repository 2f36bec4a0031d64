import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { ProducerSettings } from '../../domain/producers/producer.ts';

/**
 * A source that Tocsin runs itself. Its workflow does the work; this row is what it was told and how far it
 * came.
 */
export const ProducerEntity = defineEntity({
  name: 'Producer',
  tableName: 'producers',
  properties: {
    /** The source_id of its events. */
    id: p.string().length(100).primary(),
    settings: p.json<ProducerSettings>(),
    paused: p.boolean().default(false),
    sample: p.boolean().default(false),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    /** Every event before this is appended: what this source holds the watermark at. Never goes back. */
    appendedThrough: p.datetime(3).nullable(),
    /** Events appended since it was made. */
    appended: p.bigint('number').default(0),
  },
});
export type Producer = InferEntity<typeof ProducerEntity>;
