/** Why events may be missing. Rows and the API use these names. */
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

/**
 * Whose events may be missing: those sent to one of our processes, those of a producer, or those sent with
 * one key.
 */
export type DeafWhose = 'process' | 'source' | 'key';

/**
 * A deaf span: a time in which Tocsin refused, lost or could not receive events, so that silence proves
 * nothing. All times in epoch milliseconds, by the database's clock.
 */
export interface DeafSpan {
  whose: DeafWhose;
  /** Id of the process, the producer or the key. */
  id: string;
  /** The name that people know: a process's role, a producer's id, or a key's name. */
  name: string;
  reason: DeafReason;
  from_at: number;
  /** When something was refused or missed for the last time. */
  to_at: number;
  /**
   * Until then the senders may still send what was refused, so the watermark waits. Null: this span does not
   * hold the watermark.
   */
  held_until: number | null;
}

/**
 * How long a span holds the watermark back. `always`: for its whole length, because Tocsin is the cause. `at
 * most 15 minutes`: one sender is the cause, which must not keep every incident open for ever. `never`: the
 * row of the process or producer holds it instead. A dead letter may wait for a person for days, so it does
 * not hold it; the producer's row did until the batch was given up.
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
 * Says whether a span holds the watermark at the span's beginning.
 * @param patience how much more time than usual the senders have to send again, in milliseconds
 * @param longest how long a single sender may hold the watermark, in milliseconds
 */
export function spanHolds(
  { reason, from_at, held_until }: Pick<DeafSpan, 'reason' | 'from_at' | 'held_until'>,
  { now, patience, longest }: { now: number; patience: number; longest: number },
): boolean {
  if (held_until === null || held_until + patience <= now || HOLDS[reason] === 'never') return false;
  return HOLDS[reason] === 'always' || now - from_at <= longest;
}

/** Says whether a single sender is the cause, so that the watermark waits only for a limited time. */
export function isCapped(reason: DeafReason): boolean {
  return HOLDS[reason] === 'at most 15 minutes';
}

/**
 * The deaf reason for each reason of a refused request. Reasons that are missing here are the sender's own
 * fault.
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

/**
 * Reasons that senders without a valid key can cause on purpose are not listed here. Otherwise strangers
 * could prevent incidents from ending.
 */
const OF_ANYBODY: ReadonlySet<DeafReason> = new Set(['store_unavailable', 'disk_full', 'buffer_full']);

/**
 * Says why a refused request causes a deaf span; null if it does not.
 * @param rejection the recorded reason
 * @param known whether the sender's key had been found valid
 */
export function deafnessOf(rejection: string, known: boolean): DeafReason | null {
  const reason = BY_REJECTION[rejection] ?? null;
  return reason !== null && (known || OF_ANYBODY.has(reason)) ? reason : null;
}
