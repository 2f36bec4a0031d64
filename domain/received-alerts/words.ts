import { canonicalJson } from '../canonical-json.ts';
import type { KnownAlert, ReceivedAlert } from './alert.ts';

/** The texts of a message, which people read. */
export function wordsOf({ labels, annotations, severity, summary, generator_url }: ReceivedAlert) {
  return { labels, annotations, severity, summary, generator_url };
}

/** Says whether the texts that people read have changed. */
export function reworded(before: KnownAlert, after: KnownAlert): boolean {
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
