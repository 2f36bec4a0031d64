import type { ReceivingProtocol } from './protocols.ts';

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

/** Says whether the message ends the alert at `now`, as far as its sender is concerned. */
export function resolves({ action, ends_at, ends_explicit }: ReceivedAlert, now: number): boolean {
  return action === 'resolve' || (ends_explicit && ends_at <= now);
}
