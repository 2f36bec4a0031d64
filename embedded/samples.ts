import http from 'node:http';
import https from 'node:https';
import { text as readText } from 'node:stream/consumers';
import type { Burst } from '../domain/producers/producer.ts';
import { bearer } from './processes/readiness.ts';
import { StartupError } from './startup-error.ts';

/** The API: its base URL, and a key if it requires one. */
export type Api = { url: string; key?: string };

/** A producer in the form that `POST /producers` takes. */
type SampleProducer = { id: string; kind: 'simulated'; settings: Record<string, unknown>; sample: true };

const severities = ['critical', 'high', 'medium'];
const eventTypes = ['cpu_spike', 'latency_anomaly'];

/**
 * Events per second of `source-1` to `source-7`. Together the seven emit 40 events/s, like the producers of
 * the reference.
 */
const rates = [6, 6, 6, 6, 6, 5, 5];

/** Bursts that make the sample rules fire now and then, by source. */
const bursts: Record<string, Burst> = {
  'source-3': {
    every_seconds: 45,
    length_seconds: 6,
    factor: 10,
    event_type: 'cpu_spike',
    severity: 'critical',
  },
  'source-5': {
    every_seconds: 120,
    length_seconds: 8,
    factor: 10,
    event_type: 'latency_anomaly',
    severity: 'high',
  },
  'source-7': {
    every_seconds: 180,
    length_seconds: 12,
    factor: 12,
    event_type: 'cpu_spike',
    severity: 'medium',
  },
};

const sampleProducers: SampleProducer[] = rates.map((rate, index) => {
  const id = `source-${index + 1}`;
  const settings = {
    rate_per_second: rate,
    severities,
    event_types: eventTypes,
    seed: index + 1,
    ...(bursts[id] ? { burst: bursts[id] } : {}),
  };
  return { id, kind: 'simulated', settings, sample: true };
});

/**
 * Three rules that stay quiet without bursts. Severity and type are drawn evenly, so for each pair one source
 * sends about one event per second, and all seven together send 6.7. Every threshold is more than seven
 * standard deviations above that. The recovery thresholds are lower, so that a count which varies around the
 * threshold does not open one incident after the other.
 */
const sampleRules = [
  {
    name: 'Critical CPU spikes on one source',
    event_type: 'cpu_spike',
    severity: 'critical',
    threshold_count: 60,
    recovery_threshold: 40,
    window_seconds: 10,
    group_by: ['source_id'],
    labels: { team: 'platform' },
    sample: true,
  },
  {
    name: 'Latency anomalies everywhere',
    event_type: 'latency_anomaly',
    severity: 'high',
    threshold_count: 260,
    recovery_threshold: 200,
    window_seconds: 20,
    labels: { team: 'web' },
    sample: true,
  },
  {
    name: 'Sustained medium CPU load',
    event_type: 'cpu_spike',
    severity: 'medium',
    threshold_count: 220,
    recovery_threshold: 160,
    window_seconds: 15,
    for_seconds: 3,
    labels: { team: 'platform' },
    sample: true,
  },
];

/**
 * Creates the missing sample producers and rules through the API. Returns how many it created.
 * @throws StartupError if the API refuses
 */
export async function addSamples(api: Api): Promise<{ producers: number; rules: number }> {
  const made = { producers: 0, rules: 0 };
  for (const producer of sampleProducers) {
    const response = await call(api, 'POST', '/producers', producer, [201, 409]);
    if (response.status === 201) made.producers += 1;
  }
  const existing = (await (await call(api, 'GET', '/alerts', undefined, [200])).json()) as { name: string }[];
  const names = new Set(existing.map(({ name }) => name));
  for (const rule of sampleRules.filter(({ name }) => !names.has(name))) {
    await call(api, 'POST', '/alerts', rule, [201]);
    made.rules += 1;
  }
  return made;
}

/**
 * Like `addSamples`, but only if there is no producer and no rule except the built-in ones. Otherwise
 * somebody already uses the system, and missing samples were removed on purpose. Returns undefined then.
 */
export async function addSamplesToEmpty(api: Api): Promise<{ producers: number; rules: number } | undefined> {
  for (const path of ['/producers', '/alerts']) {
    const there = (await (await call(api, 'GET', path, undefined, [200])).json()) as {
      condition?: { kind: string };
    }[];
    if (there.some(({ condition }) => condition?.kind !== 'received')) return undefined;
  }
  return addSamples(api);
}

/**
 * Removes the samples and everything they stored. Returns the API's counts.
 * @throws StartupError if the API refuses
 */
export async function removeSamples(api: Api): Promise<Record<string, number>> {
  const { status, text } = await patientDelete(api).catch(() => {
    throw new StartupError(`The API at ${api.url} does not answer, or broke off: is it running?`);
  });
  if (status === 200) return JSON.parse(text) as Record<string, number>;
  throw refusal('DELETE', `${api.url}/samples`, status, text);
}

async function call(
  api: Api,
  method: string,
  path: string,
  body: unknown,
  expected: number[],
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`${api.url}${path}`, {
      method,
      headers: { ...bearer(api.key), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
  } catch {
    throw new StartupError(`The API at ${api.url} does not answer: is it running?`);
  }
  if (expected.includes(response.status)) return response;
  throw refusal(method, `${api.url}${path}`, response.status, await response.text());
}

/**
 * Sends a DELETE without a time limit. There may be days of events to remove, and `fetch` gives up after five
 * minutes without headers.
 */
function patientDelete({ url: base, key }: Api): Promise<{ status: number; text: string }> {
  const url = new URL(`${base}/samples`);
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? https.request : http.request;
    const asked = request(url, { method: 'DELETE', headers: bearer(key) }, (response) => {
      readText(response).then((text) => resolve({ status: response.statusCode!, text }), reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

function refusal(method: string, url: string, status: number, text: string): StartupError {
  return new StartupError(`${method} ${url} answered ${status}: ${text.slice(0, 500)}`);
}
