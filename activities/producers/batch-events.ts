import type { NewDeadLetter } from '../../db/queries/dead-letters/writes.ts';
import { DAY_MS, type Event } from '../../domain/events/event.ts';
import { deadLetterId, producedEventId, simulateBatch } from '../../domain/producers/simulate.ts';
import { settingsFlaw } from '../../domain/producers/tick.ts';
import { validateEvent } from '../../ingest/append/validate.ts';
import type { Ingest } from '../../ingest/outcome.ts';
import type { Batch } from '../../workflows/messages.ts';
import { FAILURES } from '../../workflows/retry-policies.ts';
import { invalidBatch } from './failures.ts';
import { type Probe, probeEvent } from './http-check.ts';

/** An event that cannot be stored, with the reason. */
export interface Refused {
  event: Event;
  field: string;
  reason: string;
}

/** The outcome of a batch. `duplicates` counts events that an earlier attempt stored. */
export interface Stored {
  stored: number;
  duplicates: number;
  refused: Refused[];
}

/**
 * Makes the events of a batch. Simulated events are the same each time. A check is made once, here, and its
 * result must be passed on to retries.
 * @throws ApplicationFailure `invalid` if the settings are invalid
 */
export async function eventsOf(batch: Batch, probe: Probe): Promise<Event[]> {
  const { source_id, settings, first_sequence, tick_at } = batch;
  const flaw = settingsFlaw(settings);
  if (flaw) throw invalidBatch(flaw);
  if (settings.kind === 'simulated') return simulateBatch(source_id, settings, first_sequence, batch);
  const identity = { event_id: producedEventId(source_id, first_sequence, tick_at, batch.ids), source_id };
  return [{ ...identity, occurred_at: tick_at, ...(await probeEvent(settings, probe)) }];
}

/**
 * Validates events like those of other senders, and stores the valid ones. Repeating is safe, because the
 * identity of an event is fixed.
 * @throws BufferFull, StoreUnavailable
 */
export async function storeEvents(
  events: readonly Event[],
  { ingest, now, retentionDays }: { ingest: Ingest; now: number; retentionDays: number },
): Promise<Stored> {
  const limits = { now, retentionMs: retentionDays * DAY_MS };
  const refused: Refused[] = [];
  const valid: Event[] = [];
  for (const event of events) {
    const { occurred_at, ...rest } = event;
    const checked = validateEvent({ ...rest, timestamp: new Date(occurred_at).toISOString() }, limits);
    if ('event' in checked) valid.push(checked.event);
    else refused.push({ event, ...checked.invalid[0]! });
  }
  const outcomes = valid.length > 0 ? await ingest.accept(valid) : [];
  let stored = 0;
  let duplicates = 0;
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.status === 'stored') stored += 1;
    else if (outcome.status === 'duplicate') duplicates += 1;
    else refused.push({ event: valid[i]!, field: outcome.field, reason: outcome.reason });
  }
  return { stored, duplicates, refused };
}

/** Makes dead-letter rows for the refused events of a batch. A repeated batch makes the same rows. */
export function refusedRows(batch: Batch, events: readonly Event[], refused: Refused[], now: number) {
  return refused.map(({ event, field, reason }): NewDeadLetter => {
    const sequence = batch.first_sequence + events.findIndex(({ event_id }) => event_id === event.event_id);
    return {
      id: deadLetterId('event', batch.source_id, sequence, batch.tick_at),
      source_id: batch.source_id,
      kind: 'event',
      failure: FAILURES.invalid,
      reason,
      field,
      content: event,
      event_count: 1,
      created_at: now,
      unheard: null,
    };
  });
}
