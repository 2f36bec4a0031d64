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

/** Attempts at a check whose source's row is of another kind: 1.5 s, and then it is not made. */
const TRIES_FOR_URL = 3;

export interface Emitted {
  stored: number;
  duplicates: number;
  /** Events that are dead letters now, each with its field and reason. */
  refused: number;
  /** Set when the producer's row is gone: whoever emits should stop. */
  gone?: true;
}

/** The activities of queue `ingest`. */
export function createIngestActivities(deps: IngestActivityDependencies) {
  const { ingest, orm, clock, retentionDays, log } = deps;
  return {
    /**
     * Makes the events of a batch, stores them, and records how far the source came.
     * @throws ApplicationFailure `transient` (details: the events of a check, which can't be made again) or
     * `invalid`.
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
 * The batch with the URL to probe, which no workflow knows; `gone` and `changed` say why there is none. A
 * workflow hears of a change of kind moments before its row does, hence the tries.
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
 * What an earlier attempt of this check found: it happened then, and asking again would answer for another
 * time.
 */
function carriedEvents(batch: Batch): Event[] | undefined {
  if (batch.settings.kind !== 'http-check') return undefined;
  return activityInfo().heartbeatDetails as Event[] | undefined;
}

/**
 * The instant before which nothing of this source is missing any more, epoch milliseconds. When no older
 * batch was on its way as this one left, that is where the next one begins: the watermark must not wait for a
 * source to have news.
 */
function appendedThrough(batch: Batch): number {
  const { source_id, settings, from_at, tick_at, appended_through } = batch;
  return appended_through < from_at ? appended_through : nextSpan(source_id, settings, tick_at).from_at;
}
