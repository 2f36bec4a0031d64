import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { ProducerSettings } from '../../domain/producers/producer.ts';

/**
 * A producer: a source that Tocsin runs itself. Its workflow emits the events; this row has its settings and
 * its progress.
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
    /** Every event before this time is appended. The watermark does not pass it. It never decreases. */
    appendedThrough: p.datetime(3).nullable(),
    /** Events appended since the producer was created. */
    appended: p.bigint('number').default(0),
  },
});
export type Producer = InferEntity<typeof ProducerEntity>;
