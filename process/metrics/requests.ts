import { Histogram, type Registry } from 'prom-client';
import { DURATIONS } from './registry.ts';

/** Counts an answer. `route` is the path template, in OpenAPI's form. */
export type ObserveRequest = (request: {
  method: string;
  route: string;
  status: number;
  milliseconds: number;
}) => void;

/** Makes the metrics of requests, by route and status. */
export function observeRequests(registry: Registry): ObserveRequest {
  const durations = new Histogram({
    name: 'tocsin_http_request_duration_seconds',
    help: 'Time from a request to the beginning of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATIONS,
    registers: [registry],
  });
  return ({ method, route, status, milliseconds }) =>
    durations.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, milliseconds / 1000);
}
