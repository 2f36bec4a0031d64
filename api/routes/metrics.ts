import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { type Route, route } from '../route.ts';

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** What Prometheus scrapes. */
export function metricsRoutes({ registry }: ApiDeps): Route[] {
  return [
    route({
      method: 'get',
      path: '/metrics',
      role: 'read',
      tags: ['health'],
      summary: 'Measurements, in Prometheus’ text format',
      description:
        'Of this process, and of the whole system as its rows and Temporal have it. What can’t be read is left out: `tocsin_up` says why.',
      responses: { 200: { description: 'The measurements', media: [TEXT], schema: z.string() } },
      handle: async () => ({ status: 200, type: TEXT, body: await registry.metrics() }),
    }),
  ];
}
