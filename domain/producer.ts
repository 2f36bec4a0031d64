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
