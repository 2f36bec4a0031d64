import type { IncidentFacts } from './facts.ts';

/** The kinds of notices. Kinds that happen at the same time are in the order in which they can happen. */
export const NOTICE_KINDS = ['opened', 'shortened', 'split', 'reopened', 'resolved', 'withdrawn'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** The content of a notice, which each channel formats. The webhook sends it unchanged. */
export interface NoticeDocument {
  /** The same in all retries and channels. */
  id: string;
  kind: NoticeKind;
  /** When the change happened, ISO 8601. */
  at: string;
  /**
   * The incident when the notice is sent. A delayed notice may say `opened` although the incident is
   * resolved.
   */
  incident: IncidentFacts;
  rule: { id: string; name: string };
  links: { incident: string };
}

/** The progress of a notice on one channel, from its rows. Times in epoch milliseconds. */
export interface Progress {
  channel: string;
  /** How many attempts were made. */
  attempts: number;
  outcome: DeliveryOutcome;
  detail: string;
  at: number;
  /** True if the outcome is on the timeline. */
  settled: boolean;
}

export type DeliveryOutcome = 'sent' | 'retry' | 'failed';

/** The outcome of one attempt. */
export interface Attempted {
  outcome: DeliveryOutcome;
  detail: string;
  /** The shortest pause that the receiver asked for, in milliseconds. */
  retry_after_ms?: number | undefined;
}

/** An unfinished notice, with its progress on each channel that was tried. */
export interface OutstandingNotice {
  id: string;
  kind: NoticeKind;
  /** Epoch milliseconds. */
  at: number;
  progress: Progress[];
}

/** The channels that get a notice, and the reason. */
export function notifyPlan(channels: readonly string[]): { channels: readonly string[]; reason: string } {
  if (channels.length === 0) return { channels, reason: 'no channel is configured' };
  return { channels, reason: 'every channel gets every notice' };
}

/**
 * Sorts by time, oldest first. Notices of one judging have the same time; these are in the order in which
 * they can have happened.
 */
export function inOrder<T extends { kind: NoticeKind; at: number }>(notices: readonly T[]): T[] {
  return [...notices].sort(
    (a, b) => a.at - b.at || NOTICE_KINDS.indexOf(a.kind) - NOTICE_KINDS.indexOf(b.kind),
  );
}

/** The longest pause that a receiver can cause, in milliseconds. */
const LONGEST_RETRY_AFTER_MS = 86_400_000;

/**
 * The pause after so many failed attempts, in milliseconds; null if that was the last. It comes from the
 * schedule, or is longer if the receiver asked for that.
 */
export function pauseAfter(attempts: number, scheduleMs: readonly number[], retryAfterMs = 0): number | null {
  const pause = scheduleMs[attempts - 1];
  return pause === undefined ? null : Math.max(pause, Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS));
}
