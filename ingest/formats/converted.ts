import type { z } from 'zod';
import type { ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import type { eventInput, InvalidEvent } from '../append/validate.ts';

/** An event as senders give it, from a format that has its own names for everything. */
export type EventInput = z.input<typeof eventInput>;

/**
 * The result of converting one item: an event that must still be validated, or the errors. `lenient`: the
 * sender cannot react to a refusal, so flaws are repaired where possible. `derived`: the id was derived from
 * the source and the content.
 */
export type Converted<E = unknown> =
  | { event: E; lenient?: true; derived?: boolean }
  | { invalid: InvalidEvent[] };

/** The result of converting one alert. */
export type ConvertedAlert = { alert: ReceivedAlert } | { invalid: InvalidEvent[] };

/** The result for an item that cannot be converted. */
export function invalidItem(field: string, reason: string): { invalid: InvalidEvent[] } {
  return { invalid: [{ field, reason }] };
}
