import { createHash } from 'node:crypto';
import { canonicalJson, sortedEntries } from '../canonical-json.ts';

/** How alerts come from outside: each protocol has its built-in rule. */
export const RECEIVING_PROTOCOLS = ['alertmanager', 'pagerduty'] as const;
export type ReceivingProtocol = (typeof RECEIVING_PROTOCOLS)[number];

/** The built-in rules' ids, the same in every installation. */
export const RECEIVING_RULES: Readonly<Record<ReceivingProtocol, string>> = {
  alertmanager: '7c0a1e55-0000-4000-8000-000000000001',
  pagerduty: '7c0a1e55-0000-4000-8000-000000000002',
};

/**
 * The end of an alert that goes on until somebody resolves it, and the latest that any may have. Epoch ms,
 * year 9999.
 */
export const NEVER = Date.UTC(9999, 11, 31, 23, 59, 59);

/** One message about an alert, as its protocol's parser understood it. Times in epoch milliseconds. */
export interface ReceivedAlert {
  protocol: ReceivingProtocol;
  /** What makes two messages speak of the same alert: `alertmanagerKey` or `pagerdutyKey`. */
  key: string;
  /** A trigger whose explicit end has come resolves. Only PagerDuty acknowledges. */
  action: 'trigger' | 'acknowledge' | 'resolve';
  /**
   * Alertmanager: its identity. PagerDuty: what the payload says beside the summary. Read from triggers only,
   * as are …
   */
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** On the house scale, or the sender's own word of up to 32 characters. */
  severity: string;
  summary: string;
  /** … down to here. */
  generator_url: string | null;
  /** The time of receipt where the message says nothing (Alertmanager: `ends_at`, if it has one). */
  starts_at: number;
  /**
   * Of a trigger: until when it holds unless it is sent again. NEVER for PagerDuty. Of a resolve: since when
   * it is over.
   */
  ends_at: number;
  /** The sender gave `ends_at`; false: it is a time-out that we chose. */
  ends_explicit: boolean;
}

/**
 * How the end on record came about. `resolved` is certain; a `given` or a `timeout` one moves with each
 * refresh.
 */
export type EndKind = 'timeout' | 'given' | 'resolved';

/** What is on record of an alert: its latest episode [starts_at, ends_at). */
export interface KnownAlert
  extends Pick<
    ReceivedAlert,
    'labels' | 'annotations' | 'severity' | 'summary' | 'generator_url' | 'starts_at' | 'ends_at'
  > {
  ends: EndKind;
  /** End of the episode before this one: it can't have begun earlier. Null for the first that we know. */
  not_before: number | null;
  acknowledged_at: number | null;
  acknowledged_by: string | null;
  /**
   * Until when each of its senders has it, while it holds; where senders are told apart. Epoch milliseconds.
   */
  senders?: Record<string, number>;
}

/** What a message came to. `ignored`: it speaks of an episode that is over or that we never knew. */
export type MessageOutcome = 'opened' | 'refreshed' | 'resolved' | 'acknowledged' | 'ignored';

export interface Applied {
  outcome: MessageOutcome;
  /** As it is now; null where nothing is known still. */
  alert: KnownAlert | null;
  /** The episode that `alert` follows, when a new one began. */
  past: KnownAlert | null;
  /**
   * Whether it fires, since when or until when may be judged otherwise now. A quiet refresh changes nothing
   * of that.
   */
  changed: boolean;
  /** The words that people read are others. */
  reworded: boolean;
}

/**
 * What is on record once a message came, by the rules of Alertmanager, in the order of arrival:
 * - within an episode the earliest start wins;
 * - a refresh moves a time-out forward, never back; a given end beats a time-out, and the latest given end
 *   wins;
 * - a trigger after the end begins a new episode. One that says it began before the alert was *resolved*
 *   comes from another sender of the same alert: it begins where that ended. After an end that merely lapsed,
 *   the episode goes on as its sender says;
 * - a resolve of an earlier episode, sent again, changes nothing. An episode lasts a millisecond at least:
 *   what was triggered and resolved at once still opened an incident.
 *
 * Of several senders none ends what another one holds: the alert is over when the last of them says so, or no
 * longer sends it. So whoever knows an alert's labels, and has a key of their own, can't end it.
 * @param now epoch ms, the time of receipt
 * @param sender who sent it; null where the alert's key says that already
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

/** Senders of one alert that are told apart at the most. */
const MOST_SENDERS = 50;

function keepLatest(senders: Record<string, number>): Record<string, number> {
  const entries = Object.entries(senders);
  if (entries.length <= MOST_SENDERS) return senders;
  return Object.fromEntries(entries.sort(([, a], [, b]) => b - a).slice(0, MOST_SENDERS));
}

function applyAlone(known: KnownAlert | null, received: ReceivedAlert, now: number, by: string): Applied {
  if (received.action === 'acknowledge') return acknowledge(known, now, by);
  return resolves(received, now) ? resolve(known, received) : trigger(known, received, now);
}

/** Whether the alert is over, at `now`, for all that its sender says. */
export function resolves({ action, ends_at, ends_explicit }: ReceivedAlert, now: number): boolean {
  return action === 'resolve' || (ends_explicit && ends_at <= now);
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
  // What comes after its end makes that certain.
  const ended: KnownAlert | null = past && { ...past, ends: 'resolved' };
  return { outcome: 'opened', alert, past: ended, changed: true, reworded: false };
}

function resolve(known: KnownAlert | null, received: ReceivedAlert): Applied {
  const ignored = unchanged('ignored', known);
  if (known === null) return ignored;
  // PagerDuty's has no time of its own but that of the process that took it, whose clock may be behind that
  // of the one that took the trigger.
  const earliestEnd = received.protocol === 'pagerduty' ? known.starts_at : 0;
  const from = Math.max(received.starts_at, earliestEnd);
  const end = Math.max(received.ends_at, earliestEnd);
  if (end < known.starts_at) return ignored;
  if (end === known.starts_at && from < known.starts_at) return ignored;
  if (known.ends === 'resolved') {
    // Two senders of one alert: it is over when the last of them says so.
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

const unchanged = (outcome: MessageOutcome, alert: KnownAlert | null): Applied => ({
  ...{ outcome, alert, past: null, changed: false, reworded: false },
});

/** The earlier start, but none within the episode before. */
function earliest({ starts_at, not_before }: KnownAlert, other: number): number {
  return Math.min(starts_at, Math.max(other, not_before ?? other));
}

const endOf = ({ ends_explicit }: ReceivedAlert): EndKind => (ends_explicit ? 'given' : 'timeout');

function wordsOf({ labels, annotations, severity, summary, generator_url }: ReceivedAlert) {
  return { labels, annotations, severity, summary, generator_url };
}

function reworded(before: KnownAlert, after: KnownAlert): boolean {
  return (
    before.severity !== after.severity ||
    before.summary !== after.summary ||
    before.generator_url !== after.generator_url ||
    canonicalJson(before.labels) !== canonicalJson(after.labels) ||
    canonicalJson(before.annotations) !== canonicalJson(after.annotations)
  );
}

/** What an incident of the alert says: the alert's own words, before those of its rule. */
export function incidentWords(
  alert: Pick<ReceivedAlert, 'labels' | 'annotations' | 'severity' | 'summary' | 'generator_url'>,
  rule: {
    name: string;
    incident_severity: string | null;
    labels: Record<string, string>;
    annotations: Record<string, string>;
  },
) {
  const source: Record<string, string> =
    alert.generator_url === null ? {} : { generator_url: alert.generator_url };
  return {
    summary: alert.summary || `Rule ${rule.name} triggered`,
    severity: rule.incident_severity ?? alert.severity,
    labels: { ...rule.labels, ...alert.labels },
    annotations: { ...source, ...rule.annotations, ...alert.annotations },
  };
}

/**
 * The identity of an Alertmanager alert: 32 hex digits of its label set, whatever their order. Labels without
 * a value don't count.
 */
export function alertmanagerKey(labels: Record<string, string>): string {
  const set = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
  return createHash('sha256')
    .update(JSON.stringify(sortedEntries(set)))
    .digest('hex')
    .slice(0, 32);
}

/**
 * The identity of a PagerDuty event. `scope` is its ingest key's id, without a slash: nobody resolves another
 * one's alerts.
 */
export function pagerdutyKey(scope: string, dedupKey: string): string {
  return `${scope}/${dedupKey}`;
}

/** What tells the alert from others of its protocol, for people to read. */
export function keyLabels(protocol: ReceivingProtocol, key: string): Record<string, string> {
  if (protocol === 'alertmanager') return { fingerprint: key };
  return { dedup_key: key.slice(key.indexOf('/') + 1) };
}
