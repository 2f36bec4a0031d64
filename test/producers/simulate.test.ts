import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { SimulatedSettings } from '../../domain/producers/producer.ts';
import { simulateBatch } from '../../domain/producers/simulate.ts';
import {
  batchSize,
  MAX_BATCH_EVENTS,
  nextSpan,
  type Span,
  settingsFlaw,
} from '../../domain/producers/tick.ts';
import { simulated } from './settings.ts';

const START = Date.UTC(2026, 0, 1);

const anySettings = fc
  .record({
    rate_per_second: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.double({ min: 0, max: 50, noNaN: true })),
    tick_ms: fc.constantFrom(100, 250, 1000, 1500),
    seed: fc.integer(),
    burst: fc.option(
      fc.record({
        every_seconds: fc.integer({ min: 10, max: 60 }),
        length_seconds: fc.integer({ min: 1, max: 10 }),
        factor: fc.double({ min: 1, max: 4, noNaN: true }),
        event_type: fc.constant('burst'),
        severity: fc.constant('critical'),
      }),
    ),
  })
  .map(simulated)
  .filter((settings) => settingsFlaw(settings) === null);

/** The spans that a producer emits from a time on, over `ms` of event time. */
function spans(settings: SimulatedSettings, from: number, ms: number): Span[] {
  const found: Span[] = [];
  for (let at = from; ; ) {
    const span = nextSpan('source-1', settings, at);
    if (span.tick_at > from + ms) return found;
    found.push(span);
    at = span.tick_at;
  }
}

describe('simulated events', () => {
  it('are the same whenever a batch is made again, as many as its size says, and within its span', () => {
    fc.assert(
      fc.property(anySettings, fc.nat(1e9), fc.nat(1e6), (settings, after, first) => {
        const span = nextSpan('source-1', settings, START + after);
        const events = simulateBatch('source-1', settings, first, span);
        assert.deepEqual(events, simulateBatch('source-1', settings, first, span));
        assert.equal(events.length, batchSize(settings, span));
        assert.equal(new Set(events.map(({ event_id }) => event_id)).size, events.length);
        events.forEach((event, i) => {
          assert.ok(Number.isInteger(event.occurred_at));
          assert.ok(event.occurred_at > span.from_at && event.occurred_at <= span.tick_at);
          assert.equal(event.payload.sequence, first + i);
          const { value } = event.payload;
          assert.ok(typeof value === 'number' && value >= 50 && value <= 99);
        });
      }),
    );
  });

  it('have the rate and bursts of the settings, however time is divided into batches', () => {
    fc.assert(
      fc.property(anySettings, fc.nat(1e9), (settings, after) => {
        const cut = spans(settings, START + after, 120_000);
        if (cut.length === 0) return;
        const whole = { from_at: START + after, tick_at: cut.at(-1)!.tick_at };
        const total = cut.reduce((sum, span) => sum + batchSize(settings, span), 0);
        if (total < MAX_BATCH_EVENTS) assert.equal(total, batchSize(settings, whole));
        const seconds = (whole.tick_at - whole.from_at) / 1000;
        if (!settings.burst) assert.ok(Math.abs(total - settings.rate_per_second * seconds) <= 1.001);
      }),
    );
  });

  it('burst at the same time, for the length and with the factor of the settings', () => {
    const burst = {
      every_seconds: 60,
      length_seconds: 6,
      factor: 5,
      event_type: 'latency_anomaly',
      severity: 'high',
    };
    const settings = simulated({ rate_per_second: 10, tick_ms: 1000, burst, event_types: ['cpu_spike'] });
    for (const source of ['source-1', 'source-2']) {
      let sequence = 0;
      const events = spans(settings, START, 180_000).flatMap((span) => {
        const batch = simulateBatch(source, settings, sequence, span);
        sequence += batch.length;
        return batch;
      });
      const extra = events.filter(({ event_type }) => event_type === 'latency_anomaly');
      // Three bursts of 6 s, with 40 additional events per second.
      assert.ok(Math.abs(extra.length - 720) <= 3, `${extra.length} extra events`);
      for (const { occurred_at, severity } of extra) {
        assert.equal(severity, 'high');
        assert.ok(occurred_at % 60_000 <= 6000, new Date(occurred_at).toISOString());
      }
    }
  });

  it('differ by seed and by source, and use every severity and type', () => {
    const span = { from_at: START, tick_at: START + 10_000 };
    const of = (source: string, seed: number) =>
      simulateBatch(source, simulated({ seed }), 0, span).map(({ severity, event_type, payload }) => [
        severity,
        event_type,
        payload.value,
      ]);
    assert.notDeepEqual(of('source-1', 1), of('source-1', 2));
    assert.notDeepEqual(of('source-1', 1), of('source-2', 1));
    assert.equal(new Set(of('source-1', 1).map(([severity, type]) => `${severity} ${type}`)).size, 6);
  });

  it('come as an empty batch at least once a minute if there are none', () => {
    const silent = spans(simulated({ rate_per_second: 0, tick_ms: 1000 }), START, 600_000);
    assert.ok(silent.length >= 9 && silent.length <= 10);
    const rare = simulated({ rate_per_second: 0.05, tick_ms: 1000 });
    for (const span of spans(rare, START, 600_000)) assert.equal(batchSize(rare, span), 1);
  });
});
