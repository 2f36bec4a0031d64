import { randomUUID } from 'node:crypto';
import type { Event } from '../domain/events/event.ts';

/** The event type that the benchmark's matching rules count. */
export const LOAD_TYPE = 'load';

const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'];

/** A payload like that of a request log: about 170 bytes, with parts that vary as in practice. */
export function payloadOf(n: number): Event['payload'] {
  return {
    host: `web-${n % 40}.eu-west-1.example.net`,
    route: `/api/v2/accounts/${n % 997}/orders`,
    status: n % 50 === 0 ? 503 : 200,
    duration_ms: (n % 1000) / 4,
    retried: n % 7 === 0,
    trace: { id: `${n}-4bf92f3577b34da6a3ce`, sampled: true },
  };
}

/** Makes new events of one type, within the last second before `now` (epoch ms). */
export function makeEvents(count: number, now: number, event_type = LOAD_TYPE): Event[] {
  return Array.from({ length: count }, (_, n) => ({
    event_id: randomUUID(),
    source_id: `checkout-${n % 64}`,
    occurred_at: now - (n % 1000),
    severity: SEVERITIES[n % 5]!,
    event_type,
    payload: payloadOf(n),
  }));
}
