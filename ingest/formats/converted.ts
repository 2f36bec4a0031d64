import type { z } from 'zod';
import type { ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import type { eventInput, InvalidEvent } from '../append/validate.ts';

/** An event as senders give it, from a format that has its own names for everything. */
export type EventInput = z.input<typeof eventInput>;

/**
 * What a format makes of one item: an event that must still be validated, or what is wrong with the item.
 * `lenient`: the sender could do nothing about a refusal, so flaws are repaired where possible. `derived`:
 * the id was made from the source and the content.
 */
export type Converted<E = unknown> =
  | { event: E; lenient?: true; derived?: boolean }
  | { invalid: InvalidEvent[] };

/** What a format makes of one alert. */
export type ConvertedAlert = { alert: ReceivedAlert } | { invalid: InvalidEvent[] };

/** An item that can't be converted. */
export function invalidItem(field: string, reason: string): { invalid: InvalidEvent[] } {
  return { invalid: [{ field, reason }] };
}
