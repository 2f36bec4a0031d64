/** A JSON value, as in payloads. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * An event whose identity is fixed: (`event_id`, `occurred_at`) does not change in the buffer, a retry, a
 * dead letter or a redrive. So an event that is stored twice exists once.
 */
export interface Event {
  event_id: string;
  source_id: string;
  /** Event time, in whole milliseconds since 1970. */
  occurred_at: number;
  severity: string;
  event_type: string;
  payload: { [key: string]: Json };
}

/** How far in the future an event's time may be, in milliseconds, because clocks differ. */
export const MAX_AHEAD_MS = 5 * 60_000;

/**
 * An event that arrives this long after it happened is late, in milliseconds. Incidents that it opens are
 * marked as late.
 */
export const LATE_AFTER_MS = 60_000;

/** One day in milliseconds: what one partition of `events` and of the counts covers. */
export const DAY_MS = 86_400_000;
