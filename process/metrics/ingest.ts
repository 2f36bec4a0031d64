import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { IngestObserver } from '../../ingest/observer.ts';
import type { Ingest } from '../../ingest/outcome.ts';
import { DURATIONS } from './registry.ts';

/** Counts received events. `via` says where they come from: HTTP, or our own producers. */
export function observeIngest(registry: Registry, via: 'http' | 'producer'): IngestObserver {
  const registers = [registry];
  const events = new Counter({
    name: 'tocsin_events_total',
    help: 'Events by outcome; senders repeat refused ones',
    labelNames: ['outcome', 'via'],
    registers,
  });
  const appends = new Histogram({
    name: 'tocsin_append_duration_seconds',
    help: 'Time of an append, from its first statement to its commit',
    labelNames: ['result'],
    buckets: DURATIONS,
    registers,
  });
  const sizes = new Histogram({
    name: 'tocsin_append_events',
    help: 'Events in an append',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
    registers,
  });
  const wakes = new Histogram({
    name: 'tocsin_wake_duration_seconds',
    help: 'Time from a commit until the rules that it may concern are signalled',
    buckets: DURATIONS,
    registers,
  });
  for (const outcome of ['stored', 'duplicate', 'invalid', 'refused']) events.inc({ outcome, via }, 0);
  return {
    answered(outcomes) {
      let stored = 0;
      let duplicate = 0;
      for (const { status } of outcomes) {
        if (status === 'stored') stored += 1;
        else if (status === 'duplicate') duplicate += 1;
      }
      if (stored > 0) events.inc({ outcome: 'stored', via }, stored);
      if (duplicate > 0) events.inc({ outcome: 'duplicate', via }, duplicate);
    },
    refused: (count) => events.inc({ outcome: 'refused', via }, count),
    invalid: (count) => events.inc({ outcome: 'invalid', via }, count),
    appended({ events: count, milliseconds, committed }) {
      appends.observe({ result: committed ? 'committed' : 'failed' }, milliseconds / 1000);
      sizes.observe(count);
    },
    woken: (milliseconds) => wakes.observe(milliseconds / 1000),
  };
}

/** Exports how many events this process holds that are not appended yet. */
export function watchBuffer(registry: Registry, ingest: Pick<Ingest, 'load'>, limit: number): void {
  const registers = [registry];
  new Gauge({
    name: 'tocsin_buffer_events',
    help: 'Events accepted and not yet appended, in this process',
    registers,
    collect() {
      this.set(ingest.load().buffered);
    },
  });
  new Gauge({
    name: 'tocsin_appends_in_flight',
    help: 'Appends in progress in this process',
    registers,
    collect() {
      this.set(ingest.load().inFlight);
    },
  });
  new Gauge({
    name: 'tocsin_buffer_limit_events',
    help: 'Events that this process can hold; more are refused',
    registers,
  }).set(limit);
}
