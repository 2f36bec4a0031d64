import { z } from 'zod';
import type { Event } from '../../domain/event.ts';
import { time } from './parameters.ts';

export const eventOut = z
  .object({
    id: z.uuid().meta({ description: 'Equals event_id' }),
    event_id: z.uuid(),
    source_id: z.string(),
    timestamp: time,
    severity: z.string(),
    event_type: z.string(),
    payload: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Event' });

/** An event as the API answers it. */
export function showEvent({ event_id, occurred_at, ...rest }: Event): z.output<typeof eventOut> {
  return {
    id: event_id,
    event_id,
    source_id: rest.source_id,
    timestamp: new Date(occurred_at).toISOString(),
    severity: rest.severity,
    event_type: rest.event_type,
    payload: rest.payload,
  };
}
