import { type EndKind, type KnownAlert, type ReceivedAlert, resolves } from './alert.ts';
import { PROTOCOLS } from './protocols.ts';
import { reworded, wordsOf } from './words.ts';

/** What a message did. `ignored`: it is about an episode that is over or unknown. */
export type MessageOutcome = 'opened' | 'refreshed' | 'resolved' | 'acknowledged' | 'ignored';

/** The result of applying a message. */
export interface Applied {
  outcome: MessageOutcome;
  /** The alert after the message; null if nothing is known about it. */
  alert: KnownAlert | null;
  /** The previous episode, if the message began a new one. */
  past: KnownAlert | null;
  /** True if the alert may now be judged differently. A plain refresh does not change that. */
  changed: boolean;
  /** True if the texts that people read have changed. */
  reworded: boolean;
}

/** Applies a message as if its alert had no other sender. */
export function applyAlone(
  known: KnownAlert | null,
  received: ReceivedAlert,
  now: number,
  by: string,
): Applied {
  if (received.action === 'acknowledge') return acknowledge(known, now, by);
  return resolves(received, now) ? resolve(known, received) : trigger(known, received, now);
}

function trigger(known: KnownAlert | null, received: ReceivedAlert, now: number): Applied {
  if (known === null) return begin(null, received);
  const over = known.ends === 'resolved' || (known.ends_at <= now && received.starts_at >= known.ends_at);
  if (over) return begin(known, received);
  const starts_at = earliest(known, received.starts_at);
  const replaced = received.ends_explicit && known.ends === 'timeout';
  const later = replaced || received.ends_at > known.ends_at;
  const alert: KnownAlert = {
    ...known,
    ...wordsOf(received),
    starts_at,
    ends_at: later ? Math.max(received.ends_at, starts_at + 1) : known.ends_at,
    ends: later ? endOf(received) : known.ends,
  };
  const changed =
    starts_at < known.starts_at || alert.ends_at < known.ends_at || (known.ends_at <= now && later);
  return { outcome: 'refreshed', alert, past: null, changed, reworded: reworded(known, alert) };
}

function begin(past: KnownAlert | null, received: ReceivedAlert): Applied {
  const starts_at = Math.max(received.starts_at, past?.ends_at ?? received.starts_at);
  const alert: KnownAlert = {
    ...wordsOf(received),
    starts_at,
    ends_at: Math.max(received.ends_at, starts_at + 1),
    ends: endOf(received),
    not_before: past?.ends_at ?? null,
    acknowledged_at: null,
    acknowledged_by: null,
  };
  // A later episode makes the end of the previous one certain.
  const ended: KnownAlert | null = past && { ...past, ends: 'resolved' };
  return { outcome: 'opened', alert, past: ended, changed: true, reworded: false };
}

function resolve(known: KnownAlert | null, received: ReceivedAlert): Applied {
  const ignored = unchanged('ignored', known);
  if (known === null) return ignored;
  const earliestEnd = PROTOCOLS[received.protocol].datesResolves ? 0 : known.starts_at;
  const from = Math.max(received.starts_at, earliestEnd);
  const end = Math.max(received.ends_at, earliestEnd);
  if (end < known.starts_at) return ignored;
  if (end === known.starts_at && from < known.starts_at) return ignored;
  if (known.ends === 'resolved') {
    // Two senders send the same alert. It is over when the last of them says so.
    if (from >= known.ends_at || end <= known.ends_at) return ignored;
  } else if (from >= known.ends_at) return ignored;
  const starts_at = earliest(known, from);
  const alert: KnownAlert = { ...known, starts_at, ends_at: Math.max(end, starts_at + 1), ends: 'resolved' };
  const outcome = known.ends === 'resolved' ? 'refreshed' : 'resolved';
  return { outcome, alert, past: null, changed: true, reworded: false };
}

function acknowledge(known: KnownAlert | null, now: number, by: string): Applied {
  if (known === null || known.ends === 'resolved' || known.ends_at <= now) return unchanged('ignored', known);
  if (known.acknowledged_at !== null) return unchanged('refreshed', known);
  const alert = { ...known, acknowledged_at: now, acknowledged_by: by };
  return { outcome: 'acknowledged', alert, past: null, changed: true, reworded: false };
}

/** The result of a message that changed nothing. */
export const unchanged = (outcome: MessageOutcome, alert: KnownAlert | null): Applied => ({
  ...{ outcome, alert, past: null, changed: false, reworded: false },
});

/** The earlier of two starts, but not before the end of the previous episode. */
function earliest({ starts_at, not_before }: KnownAlert, other: number): number {
  return Math.min(starts_at, Math.max(other, not_before ?? other));
}

const endOf = ({ ends_explicit }: ReceivedAlert): EndKind => (ends_explicit ? 'given' : 'timeout');
