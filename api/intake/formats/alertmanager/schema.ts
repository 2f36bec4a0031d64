import { z } from 'zod';
import type { ReceivedAlertRow } from '../../../../db/queries/received-alerts/writes.ts';
import { time } from '../../../http/parameters.ts';

const texts = z.record(z.string(), z.string());
const receiver = z.object({ name: z.string() });

/** The receiver that Alertmanager's API v2 requires with each alert. It says nothing about channels here. */
export const RECEIVER = { name: 'tocsin' };

export const postableAlert = z
  .object({
    labels: texts,
    annotations: texts.optional(),
    startsAt: z.string().optional(),
    endsAt: z.string().optional(),
    generatorURL: z.string().optional(),
  })
  .meta({ id: 'PostableAlert' });

export const gettableAlert = z
  .object({
    fingerprint: z.string(),
    labels: texts,
    annotations: texts,
    startsAt: time,
    endsAt: time,
    updatedAt: time,
    generatorURL: z.string().optional(),
    receivers: z.array(receiver),
    status: z.object({
      state: z.literal('active'),
      silencedBy: z.array(z.string()),
      inhibitedBy: z.array(z.string()),
      mutedBy: z.array(z.string()),
    }),
  })
  .meta({ id: 'GettableAlert' });

export const alertGroup = z
  .object({ labels: texts, receiver, alerts: z.array(gettableAlert) })
  .meta({ id: 'AlertGroup' });

export const alertmanagerStatus = z
  .object({
    cluster: z.object({ status: z.literal('disabled'), peers: z.array(z.unknown()) }),
    versionInfo: z.object({
      branch: z.string(),
      buildDate: z.string(),
      buildUser: z.string(),
      goVersion: z.string(),
      revision: z.string(),
      version: z.string(),
    }),
    config: z.object({ original: z.string() }),
    uptime: time,
  })
  .meta({ id: 'AlertmanagerStatus' });

/** Converts an alert into Alertmanager's form. */
export function showGettable(alert: ReceivedAlertRow): z.output<typeof gettableAlert> {
  const at = (ms: number) => new Date(ms).toISOString();
  return {
    fingerprint: alert.key,
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: at(alert.starts_at),
    endsAt: at(alert.ends_at),
    updatedAt: at(alert.updated_at),
    ...(alert.generator_url === null ? {} : { generatorURL: alert.generator_url }),
    receivers: [RECEIVER],
    status: { state: 'active', silencedBy: [], inhibitedBy: [], mutedBy: [] },
  };
}

/** Converts a group into Alertmanager's form, under our only receiver. */
export function showGroup({ alertname, alerts }: NamedAlerts): z.output<typeof alertGroup> {
  return {
    labels: (alertname === '' ? {} : { alertname }) as Record<string, string>,
    receiver: RECEIVER,
    alerts: alerts.map(showGettable),
  };
}

interface NamedAlerts {
  alertname: string;
  alerts: readonly ReceivedAlertRow[];
}

/** Groups alerts by their `alertname`. */
export function groupsOf(alerts: readonly ReceivedAlertRow[]): NamedAlerts[] {
  const groups = Map.groupBy(alerts, ({ labels }) => labels.alertname ?? '');
  return [...groups].map(([alertname, members]) => ({ alertname, alerts: members }));
}
