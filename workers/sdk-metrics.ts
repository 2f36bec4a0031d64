import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';

/** How long a scrape waits for the SDK's part of it, in milliseconds: an answer without it is better than none. */
export const PATIENCE_MS = 1000;

/** Where the SDK's native part serves what it measures, or why it doesn't. */
export type Exporter = { url: string } | { failure: string };

/** A port of loopback that nobody listens on. Somebody may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('loopback has no port to listen on');
  return address.port;
}

/**
 * Reads what the SDK measures, for our own scrape: both speak Prometheus' text format, and all of the SDK's names begin with
 * `temporal_`. While there is no answer the text is empty, and `tocsin_sdk_metrics_up` says so. It never fails.
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
      // Once for each time that it goes missing: scrapes come every few seconds.
      if (!missing) log.warn({ err: error }, 'the metrics of the Temporal SDK are missing from the scrape');
      missing = true;
      return '';
    }
  };
}
