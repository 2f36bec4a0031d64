/** Shape of a burst: for `length_seconds` out of every `every_seconds`, the rate is multiplied. */
export interface Burst {
  every_seconds: number;
  length_seconds: number;
  /** Multiplies the rate while the burst lasts. */
  factor: number;
  /** Type and severity of the extra events. */
  event_type: string;
  severity: string;
}

/** A source of made-up events, the same for the same seed. */
export interface SimulatedSettings {
  kind: 'simulated';
  rate_per_second: number;
  /** How often it emits a batch, in milliseconds. */
  tick_ms: number;
  seed: number;
  severities: string[];
  event_types: string[];
  burst: Burst | null;
}

/** A source that probes a URL and emits what it found. */
export interface HttpCheckSettings {
  kind: 'http-check';
  url: string;
  interval_seconds: number;
  timeout_ms: number;
  /** Status codes taken for healthy; 200–399 when empty. */
  expected_status: number[];
  /** Warn when the certificate ends within this many days. */
  certificate_days: number;
}

export type ProducerSettings = SimulatedSettings | HttpCheckSettings;

/**
 * What a workflow may know: its history is kept for days and shown by the Web UI. A URL's user, password and
 * query may be secrets, so a check reads the URL from its source's row when it is made.
 */
export function withoutSecrets(settings: ProducerSettings): ProducerSettings {
  return settings.kind === 'http-check' ? { ...settings, url: redactedUrl(settings.url) } : settings;
}

/** The URL without what may be secret: user, password, fragment and the values of its query. */
export function redactedUrl(text: string): string {
  if (!URL.canParse(text)) return 'not a URL';
  const url = new URL(text);
  if (url.username !== '') url.username = '***';
  if (url.password !== '') url.password = '***';
  url.hash = '';
  for (const key of new Set(url.searchParams.keys())) url.searchParams.set(key, '***');
  return url.href;
}
