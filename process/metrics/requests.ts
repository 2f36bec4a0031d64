import { Histogram, type Registry } from 'prom-client';
import { DURATIONS } from './registry.ts';

/** Counts an answer: `route` is its template, as OpenAPI writes it. */
export type ObserveRequest = (request: {
  method: string;
  route: string;
  status: number;
  milliseconds: number;
}) => void;

/** Counts requests by what they asked and how they were answered. */
export function observeRequests(registry: Registry): ObserveRequest {
  const durations = new Histogram({
    name: 'tocsin_http_request_duration_seconds',
    help: 'From a request to the beginning of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATIONS,
    registers: [registry],
  });
  return ({ method, route, status, milliseconds }) =>
    durations.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, milliseconds / 1000);
}
