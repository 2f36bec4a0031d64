import { v5 as uuidv5 } from 'uuid';
import type { Event } from '../../domain/events/event.ts';
import { NEVER, type ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import { PROTOCOLS } from '../../domain/received-alerts/protocols.ts';
import { reserved } from '../../domain/reserved-id.ts';

/**
 * The namespace of these events' ids (UUIDv5). It must never change, because it prevents a change from being
 * stored twice.
 */
const NAMESPACE = '2f0f8a0e-9a0b-4c43-9d65-4a2b7d7f0c11';

export type AlertStatus = 'firing' | 'resolved' | 'acknowledged';

/** The protocol and the key of an alert. */
type Identity = Pick<ReceivedAlert, 'protocol' | 'key'>;
type Told = Pick<
  ReceivedAlert,
  'labels' | 'annotations' | 'severity' | 'summary' | 'generator_url' | 'starts_at' | 'ends_at'
>;

/**
 * Makes the event about a change of an alert: `alert.firing`, `alert.resolved` or `alert.acknowledged`. Its
 * time is when Tocsin was told (`at`, epoch ms). The payload says since when the alert fires, which may be
 * longer ago than events are kept.
 */
export function alertEvent({ protocol, key }: Identity, status: AlertStatus, alert: Told, at: number): Event {
  const over = status === 'resolved';
  const identity = [PROTOCOLS[protocol].rule, key, alert.starts_at, status, ...(over ? [alert.ends_at] : [])];
  return {
    event_id: reserved(uuidv5(JSON.stringify(identity), NAMESPACE)),
    source_id: protocol,
    occurred_at: at,
    severity: alert.severity,
    event_type: `alert.${status}`,
    payload: {
      ...PROTOCOLS[protocol].keyLabels(key),
      summary: alert.summary,
      labels: alert.labels,
      annotations: alert.annotations,
      generator_url: alert.generator_url,
      starts_at: new Date(alert.starts_at).toISOString(),
      ends_at: over && alert.ends_at < NEVER ? new Date(alert.ends_at).toISOString() : null,
    },
  };
}
