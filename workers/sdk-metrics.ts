import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';

/**
 * How long a scrape waits for the SDK's metrics, in milliseconds. An answer without them is better than no
 * answer.
 */
export const PATIENCE_MS = 1000;

/** Where Core serves its metrics, or why it does not. */
export type Exporter = { url: string } | { failure: string };

/**
 * Reads the SDK's metrics, which are appended to ours: both have Prometheus' text format, and all names of
 * the SDK begin with `temporal_`. If there is no answer, the text is empty and `tocsin_sdk_metrics_up` is 0.
 * It never throws.
 */
export function readSdkMetrics(
  exporter: Exporter,
  { registry, log, patienceMs = PATIENCE_MS }: { registry: Registry; log: Logger; patienceMs?: number },
): () => Promise<string> {
  const up = new Gauge({
    name: 'tocsin_sdk_metrics_up',
    help: '1 if the metrics of the Temporal SDK are part of this scrape',
    registers: [registry],
  });
  let missing = false;
  const read = async () => {
    if ('failure' in exporter) throw new Error(exporter.failure);
    const response = await fetch(exporter.url, { signal: AbortSignal.timeout(patienceMs) });
    const text = await response.text();
    if (!response.ok) throw new Error(`the exporter answers ${response.status}`);
    return text;
  };
  return async () => {
    try {
      const text = await read();
      up.set(1);
      missing = false;
      return text;
    } catch (error) {
      up.set(0);
      // Logged once until the metrics are back, because scrapes come every few seconds.
      if (!missing) log.warn({ err: error }, 'the metrics of the Temporal SDK are missing from the scrape');
      missing = true;
      return '';
    }
  };
}
