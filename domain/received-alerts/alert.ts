import { createHash } from 'node:crypto';
import { canonicalJson, sortedEntries } from '../canonical-json.ts';

/** The protocols that receive alerts. Each has a built-in rule. */
export const RECEIVING_PROTOCOLS = ['alertmanager', 'pagerduty'] as const;
export type ReceivingProtocol = (typeof RECEIVING_PROTOCOLS)[number];

/** The ids of the built-in rules, the same in every installation. */
export const RECEIVING_RULES: Readonly<Record<ReceivingProtocol, string>> = {
  alertmanager: '7c0a1e55-0000-4000-8000-000000000001',
  pagerduty: '7c0a1e55-0000-4000-8000-000000000002',
};

/**
 * The end of an alert that lasts until somebody resolves it, and the latest end that an alert may have. Epoch
 * ms, year 9999.
 */
export const NEVER = Date.UTC(9999, 11, 31, 23, 59, 59);

/** One message about an alert, in a form that all protocols share. Times in epoch milliseconds. */
export interface ReceivedAlert {
  protocol: ReceivingProtocol;
  /** The identity of the alert: `alertmanagerKey` or `pagerdutyKey`. */
  key: string;
  /**
   * What the message does. A trigger whose given end has passed resolves. Only PagerDuty sends `acknowledge`.
   */
  action: 'trigger' | 'acknowledge' | 'resolve';
  /**
   * For Alertmanager, the identity of the alert; for PagerDuty, details of the payload. This and the
   * following fields up to `generator_url` are read from triggers only.
   */
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** One of Tocsin's severities, or the sender's own word of up to 32 characters. */
  severity: string;
  summary: string;
  /** A link to where the alert was generated. */
  generator_url: string | null;
  /**
   * When the alert began. If the message does not say, the time of receipt (Alertmanager: `ends_at`, if there
   * is one).
   */
  starts_at: number;
  /**
   * For a trigger: when the alert ends unless it is sent again; NEVER for PagerDuty. For a resolve: when the
   * alert ended.
   */
  ends_at: number;
  /** True if the sender gave `ends_at`; false if it is a time-out that Tocsin chose. */
  ends_explicit: boolean;
}

/**
 * Where the stored end comes from. `resolved` is certain. A `given` end or a `timeout` moves with each
 * refresh.
 */
export type EndKind = 'timeout' | 'given' | 'resolved';

/** What is stored about an alert: its latest episode [starts_at, ends_at). */
export interface KnownAlert
  extends Pick<
    ReceivedAlert,
    'labels' | 'annotations' | 'severity' | 'summary' | 'generator_url' | 'starts_at' | 'ends_at'
  > {
  ends: EndKind;
  /**
   * The end of the previous episode, before which this one cannot have begun. Null for the first known
   * episode.
   */
  not_before: number | null;
  acknowledged_at: number | null;
  acknowledged_by: string | null;
  /**
   * For each sender, when the alert ends by its messages, if senders are distinguished. Epoch milliseconds.
   */
  senders?: Record<string, number>;
}

/** What a message did. `ignored`: it is about an episode that is over or unknown. */
export type MessageOutcome = 'opened' | 'refreshed' | 'resolved' | 'acknowledged' | 'ignored';

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

/**
 * Applies a message to what is stored about its alert, by Alertmanager's rules, in the order of arrival:
 * - Within an episode, the earliest start counts.
 * - A refresh moves a time-out later, never earlier. A given end takes precedence over a time-out, and the
 * latest given end counts.
 * - A trigger after the end begins a new episode. If the alert was *resolved* and the trigger says that it
 * began before that, it comes from another sender of the same alert: the new episode begins at that end. If
 * the end was only a time-out, the episode continues as its sender says.
 * - A repeated resolve of an earlier episode changes nothing.
 * An episode lasts at least a millisecond, so that an alert which is triggered and resolved at once still
 * opens an incident.
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

/** How many senders of one alert are distinguished. */
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

/** Says whether the message ends the alert at `now`, as far as its sender is concerned. */
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
  // A later episode makes the end of the previous one certain.
  const ended: KnownAlert | null = past && { ...past, ends: 'resolved' };
  return { outcome: 'opened', alert, past: ended, changed: true, reworded: false };
}

function resolve(known: KnownAlert | null, received: ReceivedAlert): Applied {
  const ignored = unchanged('ignored', known);
  if (known === null) return ignored;
  // A resolve of PagerDuty has no time of its own. It gets the clock of the process that received it, which
  // may be behind that of the process that received the trigger.
  const earliestEnd = received.protocol === 'pagerduty' ? known.starts_at : 0;
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

const unchanged = (outcome: MessageOutcome, alert: KnownAlert | null): Applied => ({
  ...{ outcome, alert, past: null, changed: false, reworded: false },
});

/** The earlier of two starts, but not before the end of the previous episode. */
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

/** The texts of an alert's incident: the alert's own take precedence over those of the rule. */
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
 * The identity of an Alertmanager alert: 32 hex digits of its label set, in any order. Labels without a value
 * are ignored.
 */
export function alertmanagerKey(labels: Record<string, string>): string {
  const set = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
  return createHash('sha256')
    .update(JSON.stringify(sortedEntries(set)))
    .digest('hex')
    .slice(0, 32);
}

/**
 * The identity of a PagerDuty event. `scope` is the id of its ingest key, without a slash, so that no key can
 * resolve the alerts of another.
 */
export function pagerdutyKey(scope: string, dedupKey: string): string {
  return `${scope}/${dedupKey}`;
}

/** What distinguishes the alert from others of its protocol, in a form for people. */
export function keyLabels(protocol: ReceivingProtocol, key: string): Record<string, string> {
  if (protocol === 'alertmanager') return { fingerprint: key };
  return { dedup_key: key.slice(key.indexOf('/') + 1) };
}
