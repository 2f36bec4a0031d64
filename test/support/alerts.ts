import { NEVER, type ReceivedAlert } from '../../domain/received-alerts/alert.ts';
import { alertmanagerKey, pagerdutyKey } from '../../domain/received-alerts/key.ts';

/** How long Prometheus' alerts stay active unless they are sent again, which happens once a minute. */
export const HOLDS_MS = 4 * 60_000;

/** A firing alert from Prometheus at `at`. A test sets only the fields that matter to it. */
export function firing(at: number, changes: Partial<ReceivedAlert> = {}): ReceivedAlert {
  const labels = changes.labels ?? { alertname: 'DiskFull', instance: 'db-1', severity: 'critical' };
  return {
    protocol: 'alertmanager',
    key: alertmanagerKey(labels),
    action: 'trigger',
    labels,
    annotations: { summary: 'The disk of db-1 is full' },
    severity: 'critical',
    summary: 'The disk of db-1 is full',
    generator_url: 'http://prometheus.example/graph',
    starts_at: at,
    ends_at: at + HOLDS_MS,
    ends_explicit: true,
    ...changes,
  };
}

/** The message that an alert is over since `ends_at`. */
export function resolved(starts_at: number, ends_at: number, changes: Partial<ReceivedAlert> = {}) {
  return firing(starts_at, { action: 'resolve', ends_at, ends_explicit: true, ...changes });
}

/** A message from PagerDuty's API at `at`. */
export function paged(
  action: ReceivedAlert['action'],
  at: number,
  changes: Partial<ReceivedAlert> = {},
): ReceivedAlert {
  return firing(at, {
    protocol: 'pagerduty',
    key: pagerdutyKey('key-1', 'db-1/disk'),
    action,
    labels: { source: 'db-1' },
    starts_at: at,
    ends_at: action === 'trigger' ? NEVER : at,
    ends_explicit: false,
    ...changes,
  });
}
