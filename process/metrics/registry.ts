import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * What a process tells of itself, to be scraped: memory, CPU, event-loop lag, and whatever else is
 * registered.
 */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Seconds from a millisecond to ten seconds: what a request, an append or an evaluation may take. */
export const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
