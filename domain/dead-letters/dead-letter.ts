/**
 * Pauses between the automatic retries of a dead letter with a transient cause, in milliseconds. After the
 * last one it waits for a person.
 */
export const DEAD_LETTER_SCHEDULE_MS = [10, 30, 60, 300, 900, 3600, 3600, 3600].map((s) => s * 1000);
