/**
 * Pauses between a dead letter's own retries of a transient cause, in milliseconds; then it waits for a
 * person.
 */
export const DEAD_LETTER_SCHEDULE_MS = [10, 30, 60, 300, 900, 3600, 3600, 3600].map((s) => s * 1000);
