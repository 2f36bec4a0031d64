import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * A process, with its heartbeat. Ingest processes also say what they have not stored yet, for the watermark.
 */
export const ProcessEntity = defineEntity({
  name: 'Process',
  tableName: 'processes',
  properties: {
    id: p.uuid().primary(),
    /** `api`, or the queue that a worker polls. */
    role: p.string().length(32),
    startedAt: p.datetime(3),
    beatAt: p.datetime(3),
    /** True if it receives events. */
    ingests: p.boolean(),
    /** Event time of the oldest event that it has not appended yet; null if none. */
    oldestUnappended: p.datetime(3).nullable(),
    /**
     * Obsolete: deaf spans replaced both columns. Processes of the previous release still write them during
     * an upgrade.
     */
    heldAt: p.datetime(3).nullable().lazy(),
    heldUntil: p.datetime(3).nullable().lazy(),
    /** When it ended in order, with nothing left to store. */
    endedAt: p.datetime(3).nullable(),
    /** When somebody retired it. If it sends heartbeats again, it is no longer retired. */
    retiredAt: p.datetime(3).nullable(),
    /** Appends in progress. */
    inFlight: p.integer().default(0),
    /** Events in its buffer. */
    buffered: p.integer().default(0),
  },
});
export type Process = InferEntity<typeof ProcessEntity>;
