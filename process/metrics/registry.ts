import { collectDefaultMetrics, Registry } from 'prom-client';

/** Makes the metrics registry of a process, with its memory, CPU and event-loop lag. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/**
 * Histogram buckets for requests, appends and evaluations: from one millisecond to ten seconds, in seconds.
 */
export const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
