import type { z } from 'zod';
import type { eventInput, InvalidEvent } from '../validate.ts';

/** An event as senders give it, from a format that has its own names for everything. */
export type EventInput = z.input<typeof eventInput>;

/**
 * What a format makes of one item: an event that is yet to be validated, or what is wrong with the item. `lenient`: its sender could do
 * nothing about a refusal, so what can be mended is. `derived`: its id was made from its source and what it says.
 */
export type Mapped<E = unknown> =
  | { event: E; lenient?: true; derived?: boolean }
  | { invalid: InvalidEvent[] };

/** An item that can't be mapped. */
export function unmapped(field: string, reason: string): { invalid: InvalidEvent[] } {
  return { invalid: [{ field, reason }] };
}
