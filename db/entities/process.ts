import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * A live process, by a heartbeat a second. Ingest processes say here what they still hold, for the watermark.
 */
export const ProcessEntity = defineEntity({
  name: 'Process',
  tableName: 'processes',
  properties: {
    id: p.uuid().primary(),
    /** `api`, or the queue a worker polls. */
    role: p.string().length(32),
    startedAt: p.datetime(3),
    beatAt: p.datetime(3),
    /** Whether it accepts events. */
    ingests: p.boolean(),
    /** Event time of the oldest event it holds and has not appended; null for none. */
    oldestUnappended: p.datetime(3).nullable(),
    /**
     * Neither is written any more: deaf spans took their place. Processes of an earlier release still write
     * both while it is replaced.
     */
    heldAt: p.datetime(3).nullable(),
    heldUntil: p.datetime(3).nullable(),
    /** When it ended in order: it held nothing any more. */
    endedAt: p.datetime(3).nullable(),
    /** When somebody declared it to be gone for good. It counts again if it comes back. */
    retiredAt: p.datetime(3).nullable(),
    /** Appends under way. */
    inFlight: p.integer().default(0),
    /** Events in its buffer. */
    buffered: p.integer().default(0),
  },
});
export type Process = InferEntity<typeof ProcessEntity>;
