import type { IncidentFacts } from './facts.ts';

/**
 * Something about an incident that people must hear of, in the order in which things of one instant can have
 * happened.
 */
export const NOTICE_KINDS = ['opened', 'shortened', 'split', 'reopened', 'resolved', 'withdrawn'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** What every channel gets, and makes its own format of. The webhook sends it as it is. */
export interface NoticeDocument {
  /** Stays the same over retries and channels. */
  id: string;
  kind: NoticeKind;
  /** When that happened, ISO 8601. */
  at: string;
  /** As it is when sent: a notice that is late may say 'opened' of an incident that is resolved by now. */
  incident: IncidentFacts;
  rule: { id: string; name: string };
  links: { incident: string };
}

/** How far a notice has come on one channel, by its rows. Times in epoch milliseconds. */
export interface Progress {
  channel: string;
  /** Attempts made. */
  attempts: number;
  outcome: DeliveryOutcome;
  detail: string;
  at: number;
  /** The outcome is on the timeline. */
  settled: boolean;
}

export type DeliveryOutcome = 'sent' | 'retry' | 'failed';

/** What one attempt came to. */
export interface Attempted {
  outcome: DeliveryOutcome;
  detail: string;
  /** The other side asked for at least this long a pause, in milliseconds. */
  retry_after_ms?: number | undefined;
}

/** A notice that isn't done, with its progress on each channel that was tried. */
export interface OutstandingNotice {
  id: string;
  kind: NoticeKind;
  /** Epoch milliseconds. */
  at: number;
  progress: Progress[];
}

/** Through which channels a notice goes now, and why through these. Policies will decide here. */
export function notifyPlan(channels: readonly string[]): { channels: readonly string[]; reason: string } {
  if (channels.length === 0) return { channels, reason: 'no channel is configured' };
  return { channels, reason: 'every channel gets every notice' };
}

/**
 * Oldest first. What one judging wrote together has one time: then in the order in which it can have
 * happened.
 */
export function inOrder<T extends { kind: NoticeKind; at: number }>(notices: readonly T[]): T[] {
  return [...notices].sort(
    (a, b) => a.at - b.at || NOTICE_KINDS.indexOf(a.kind) - NOTICE_KINDS.indexOf(b.kind),
  );
}

/** Nobody is asked to wait for longer than this, in milliseconds. */
const LONGEST_RETRY_AFTER_MS = 86_400_000;

/**
 * Pause after the given number of failed attempts, in milliseconds, or null when that was the last: by the
 * schedule, or longer where the other side asked for it.
 */
export function pauseAfter(attempts: number, scheduleMs: readonly number[], retryAfterMs = 0): number | null {
  const pause = scheduleMs[attempts - 1];
  return pause === undefined ? null : Math.max(pause, Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS));
}
