/** A burst: for `length_seconds` out of every `every_seconds`, the rate is multiplied. */
export interface Burst {
  every_seconds: number;
  length_seconds: number;
  /** Multiplies the rate while the burst lasts. */
  factor: number;
  /** Type and severity of the additional events. */
  event_type: string;
  severity: string;
}

/** Settings of a simulated source. The same seed generates the same events. */
export interface SimulatedSettings {
  kind: 'simulated';
  rate_per_second: number;
  /** Milliseconds between two batches. */
  tick_ms: number;
  seed: number;
  severities: string[];
  event_types: string[];
  burst: Burst | null;
}

/** Settings of a source that probes a URL and emits the results. */
export interface HttpCheckSettings {
  kind: 'http-check';
  url: string;
  interval_seconds: number;
  timeout_ms: number;
  /** Status codes that count as healthy; if empty, 200 to 399. */
  expected_status: number[];
  /** A warning is emitted if the certificate expires within this many days. */
  certificate_days: number;
}

export type ProducerSettings = SimulatedSettings | HttpCheckSettings;

/**
 * Removes secrets from settings, for the workflow: its history is kept for days, and the Web UI shows it.
 * User, password and query of a URL may be secret. So each check reads the URL from the producer's row.
 */
export function withoutSecrets(settings: ProducerSettings): ProducerSettings {
  return settings.kind === 'http-check' ? { ...settings, url: redactedUrl(settings.url) } : settings;
}

/** Removes what may be secret from a URL: user, password, fragment and the values of the query. */
export function redactedUrl(text: string): string {
  if (!URL.canParse(text)) return 'not a URL';
  const url = new URL(text);
  if (url.username !== '') url.username = '***';
  if (url.password !== '') url.password = '***';
  url.hash = '';
  for (const key of new Set(url.searchParams.keys())) url.searchParams.set(key, '***');
  return url.href;
}
