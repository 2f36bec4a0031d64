import { z } from 'zod';
import type { ApiDeps } from '../../deps.ts';
import { type Route, route } from '../../http/route.ts';

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** The route that Prometheus scrapes. */
export function metricsRoutes({ registry }: ApiDeps): Route[] {
  return [
    route({
      method: 'get',
      path: '/metrics',
      role: 'read',
      tags: ['health'],
      summary: 'Metrics in the Prometheus text format',
      description:
        'Metrics of this process, and of the whole system as PostgreSQL and Temporal report it. Values that cannot be read are omitted; `tocsin_up` says why.',
      responses: { 200: { description: 'The metrics', media: [TEXT], schema: z.string() } },
      handle: async () => ({ status: 200, type: TEXT, body: await registry.metrics() }),
    }),
  ];
}
