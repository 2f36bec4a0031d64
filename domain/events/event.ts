/** JSON as it travels in payloads. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * An event whose identity is fixed: (`event_id`, `occurred_at`) never changes again, through buffer, retry,
 * dead letter and redrive. Storing it twice stores it once.
 */
export interface Event {
  event_id: string;
  source_id: string;
  /** Event time, whole milliseconds since the epoch. */
  occurred_at: number;
  severity: string;
  event_type: string;
  payload: { [key: string]: Json };
}

/** How far ahead of the clock an event may claim to have happened, in milliseconds. */
export const MAX_AHEAD_MS = 5 * 60_000;

/** An event that arrives this much after it happened was late: what it reveals is marked so. */
export const LATE_AFTER_MS = 60_000;

/** One day: the width of a partition of `events` and of what is counted, in milliseconds. */
export const DAY_MS = 86_400_000;
