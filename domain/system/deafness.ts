/** Why we did not hear somebody. Rows carry these names, and so does the API. */
export const DEAF_REASONS = [
  'buffer_full',
  'body_budget',
  'disk_full',
  'store_unavailable',
  'failed',
  'over_rate',
  'too_slow',
  'gap',
  'lost',
  'stuck',
  'dead_letter',
] as const;
export type DeafReason = (typeof DEAF_REASONS)[number];

/** Whom a deaf span is about: one of our processes, a producer, or the holder of a key. */
export type DeafWhose = 'process' | 'source' | 'key';

/**
 * A time in which silence says nothing, because we refused, lost or could not hear events. All times in epoch
 * milliseconds, by the database's clock.
 */
export interface DeafSpan {
  whose: DeafWhose;
  /** Of the process, the producer or the key. */
  id: string;
  /** What people know it by: a process's role, a producer's id, a key's name. */
  name: string;
  reason: DeafReason;
  from_at: number;
  /** The last time that something was refused, or that nobody listened. */
  to_at: number;
  /**
   * Until then the senders may still bring what was refused: the watermark waits. Null: the span itself holds
   * nothing.
   */
  held_until: number | null;
}

/**
 * How a span holds the watermark. `always`: as long as it goes on, because we are the reason. `at most 15
 * minutes`: because one sender is, and it must not keep every incident open for ever. `never`: the process's
 * or the producer's own row holds it. A dead letter may wait for a person for days: the row of its producer
 * held the watermark until the batch was given up.
 */
const HOLDS: Readonly<Record<DeafReason, 'always' | 'at most 15 minutes' | 'never'>> = {
  buffer_full: 'always',
  body_budget: 'always',
  disk_full: 'always',
  store_unavailable: 'always',
  gap: 'always',
  failed: 'at most 15 minutes',
  over_rate: 'at most 15 minutes',
  too_slow: 'at most 15 minutes',
  lost: 'never',
  stuck: 'never',
  dead_letter: 'never',
};

/**
 * Whether a span holds the watermark at its beginning.
 * @param patience how much longer than usual senders are given, in milliseconds
 * @param longest the most that one sender may hold it, in milliseconds
 */
export function spanHolds(
  { reason, from_at, held_until }: Pick<DeafSpan, 'reason' | 'from_at' | 'held_until'>,
  { now, patience, longest }: { now: number; patience: number; longest: number },
): boolean {
  if (held_until === null || held_until + patience <= now || HOLDS[reason] === 'never') return false;
  return HOLDS[reason] === 'always' || now - from_at <= longest;
}

/** Whether a reason is one sender's, which is waited for only so long. */
export function isCapped(reason: DeafReason): boolean {
  return HOLDS[reason] === 'at most 15 minutes';
}

/**
 * What refusals of requests mean for hearing, by their reason on record. What is missing here is the sender's
 * own fault.
 */
const BY_REJECTION: Readonly<Record<string, DeafReason>> = {
  buffer_full: 'buffer_full',
  body_budget: 'body_budget',
  disk_full: 'disk_full',
  store_unavailable: 'store_unavailable',
  unavailable: 'store_unavailable',
  failed: 'failed',
  over_rate: 'over_rate',
  too_slow: 'too_slow',
};

/** Holds that anybody could cause without a key are no reason: silence must not be made by strangers. */
const OF_ANYBODY: ReadonlySet<DeafReason> = new Set(['store_unavailable', 'disk_full', 'buffer_full']);

/**
 * Why a refused request makes us deaf; null when it doesn't.
 * @param rejection the reason on record
 * @param known whether the sender's key was known by then
 */
export function deafnessOf(rejection: string, known: boolean): DeafReason | null {
  const reason = BY_REJECTION[rejection] ?? null;
  return reason !== null && (known || OF_ANYBODY.has(reason)) ? reason : null;
}
