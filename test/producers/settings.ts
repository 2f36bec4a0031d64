import type { SimulatedSettings } from '../../domain/producers/producer.ts';

/** Settings of a simulated source: 20 events/s in ticks of 200 ms, without bursts. */
export const simulated = (changes: Partial<SimulatedSettings> = {}): SimulatedSettings => ({
  kind: 'simulated',
  rate_per_second: 20,
  tick_ms: 200,
  seed: 1,
  severities: ['critical', 'high', 'medium'],
  event_types: ['cpu_spike', 'latency_anomaly'],
  burst: null,
  ...changes,
});
