import { type KnownAlert, type ReceivedAlert, resolves } from './alert.ts';
import { type Applied, applyAlone, unchanged } from './single-sender.ts';

/**
 * Applies a message to what is stored about its alert, by Alertmanager's rules, in the order of arrival:
 * - Within an episode, the earliest start counts.
 * - A refresh moves a time-out later, never earlier. A given end takes precedence over a time-out, and the
 *   latest given end counts.
 * - A trigger after the end begins a new episode. If the alert was *resolved* and the trigger says that it
 *   began before that, it comes from another sender of the same alert: the new episode begins at that end. If
 *   the end was only a time-out, the episode continues as its sender says.
 * - A repeated resolve of an earlier episode changes nothing.
 *
 * An episode lasts at least a millisecond, so that an alert which is triggered and resolved at once still
 * opens an incident.
 *
 * If an alert has several senders, none can end it for the others. It is over when the last of them resolves
 * it or stops sending it. So a person who knows an alert's labels and has another key cannot end it.
 * @param now epoch ms, the time of receipt
 * @param sender who sent the message; null if the alert's key already contains that
 */
export function applyMessage(
  known: KnownAlert | null,
  received: ReceivedAlert,
  now: number,
  by: string,
  sender: string | null = null,
): Applied {
  const alone = applyAlone(known, received, now, by);
  if (sender === null || received.action === 'acknowledge' || !alone.alert) return alone;
  const { [sender]: own, ...rest } = known?.senders ?? {};
  const others = Object.fromEntries(Object.entries(rest).filter(([, until]) => until > now));
  const heldTo = Math.max(0, ...Object.values(others));
  if (resolves(received, now)) {
    if (alone.outcome !== 'resolved') return alone;
    if (heldTo === 0) return { ...alone, alert: { ...alone.alert, senders: {} } };
    if (own === undefined) return unchanged('ignored', known);
    const ends_at = Math.min(known!.ends_at, heldTo);
    const alert = { ...known!, ends_at, senders: others };
    const changed = ends_at < known!.ends_at;
    return { outcome: 'refreshed', alert, past: null, changed, reworded: false };
  }
  const holders = alone.outcome === 'opened' ? {} : others;
  const until = Math.max(received.ends_at, alone.alert.starts_at + 1);
  const alert: KnownAlert = {
    ...alone.alert,
    ends_at: alone.outcome === 'opened' ? alone.alert.ends_at : Math.max(alone.alert.ends_at, heldTo),
    senders: keepLatest({ ...holders, [sender]: until }),
  };
  return { ...alone, alert };
}

/** The most senders of one alert that are distinguished. */
const MOST_SENDERS = 50;

function keepLatest(senders: Record<string, number>): Record<string, number> {
  const entries = Object.entries(senders);
  if (entries.length <= MOST_SENDERS) return senders;
  return Object.fromEntries(entries.sort(([, a], [, b]) => b - a).slice(0, MOST_SENDERS));
}
