import { activityInfo, heartbeat } from '@temporalio/activity';
import type { Logger } from 'pino';
import type { Orm } from '../../db/orm.ts';
import { insertDeadLetters } from '../../db/queries/dead-letters/writes.ts';
import { producerRow, recordProgress } from '../../db/queries/producers/progress.ts';
import type { Event } from '../../domain/events/event.ts';
import { nextSpan } from '../../domain/producers/tick.ts';
import type { Ingest } from '../../ingest/outcome.ts';
import type { Batch } from '../../workflows/messages.ts';
import { eventsOf, refusedRows, storeEvents } from './batch-events.ts';
import { asFailure } from './failures.ts';
import type { Probe } from './http-check.ts';

export interface IngestActivityDependencies {
  ingest: Ingest;
  orm: Orm;
  probe: Probe;
  /** Epoch milliseconds. */
  clock: () => number;
  retentionDays: number;
  log: Logger;
}

/**
 * How often the source's row is read if it is of another kind than the batch. After 1.5 s the check is not
 * made.
 */
const TRIES_FOR_URL = 3;

export interface Emitted {
  stored: number;
  duplicates: number;
  /** How many events became dead letters. */
  refused: number;
  /** True if the producer's row is gone, so that the workflow must stop. */
  gone?: true;
}

/** Makes the activities of the queue `ingest`. */
export function createIngestActivities(deps: IngestActivityDependencies) {
  const { ingest, orm, clock, retentionDays, log } = deps;
  return {
    /**
     * Makes the events of a batch, stores them, and records the progress of the source.
     * @throws ApplicationFailure `transient` (with the events of a check, which cannot be repeated) or
     * `invalid`
     */
    async emitBatch(batch: Batch): Promise<Emitted> {
      let carried: Event[] | undefined;
      try {
        carried = carriedEvents(batch);
        const whole = carried ? batch : await withSecrets(orm, batch);
        if (whole === 'gone') return { stored: 0, duplicates: 0, refused: 0, gone: true };
        const events = carried ?? (whole === 'changed' ? [] : await eventsOf(whole, deps.probe));
        if (batch.settings.kind === 'http-check') {
          carried = events;
          heartbeat(events);
        }
        const now = clock();
        const { stored, duplicates, refused } = await storeEvents(events, { ingest, now, retentionDays });
        if (refused.length > 0) {
          const kept = await insertDeadLetters(orm, refusedRows(batch, events, refused, now));
          if (kept > 0) log.warn({ source_id: batch.source_id, refused: kept }, 'events became dead letters');
        }
        const known = await recordProgress(orm, {
          sourceId: batch.source_id,
          stored,
          appendedThrough: appendedThrough(batch),
        });
        return { stored, duplicates, refused: refused.length, ...(known ? {} : { gone: true }) };
      } catch (error) {
        throw asFailure(error, carried ? [carried] : []);
      }
    },
  };
}

export type IngestActivities = ReturnType<typeof createIngestActivities>;

/**
 * Adds the URL of a check to a batch; workflows do not know it. `gone` and `changed` say why there is none.
 * If the kind of a producer changes, its workflow learns that shortly before the row does, so reading is
 * repeated.
 */
async function withSecrets(orm: Orm, batch: Batch): Promise<Batch | 'gone' | 'changed'> {
  if (batch.settings.kind !== 'http-check') return batch;
  const row = await producerRow(orm, batch.source_id);
  if (row === null) return 'gone';
  if (row.settings.kind === 'http-check') {
    return { ...batch, settings: { ...batch.settings, url: row.settings.url } };
  }
  if (activityInfo().attempt >= TRIES_FOR_URL) return 'changed';
  throw new Error('the row of this producer has no URL to probe');
}

/**
 * The result of an earlier attempt at this check. It is not repeated, because the result would be about
 * another time.
 */
function carriedEvents(batch: Batch): Event[] | undefined {
  if (batch.settings.kind !== 'http-check') return undefined;
  return activityInfo().heartbeatDetails as Event[] | undefined;
}

/**
 * The time before which all events of this source are stored, epoch milliseconds. If no older batch was in
 * flight when this one left, that is the start of the next batch, so that the watermark does not wait for the
 * source's next events.
 */
function appendedThrough(batch: Batch): number {
  const { source_id, settings, from_at, tick_at, appended_through } = batch;
  return appended_through < from_at ? appended_through : nextSpan(source_id, settings, tick_at).from_at;
}
