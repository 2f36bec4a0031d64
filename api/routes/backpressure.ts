import { z } from 'zod';
import { sqlOf } from '../../db/orm.ts';
import { ingestLoad } from '../../db/queries/status-reads.ts';
import { QUEUES } from '../../workflows/queues.ts';
import { limitQueue, queueState } from '../backpressure.ts';
import { jsonBody } from '../body/json.ts';
import type { ApiDeps } from '../deps.ts';
import { type Route, route } from '../route.ts';

const backpressureOut = z
  .object({
    queue: z.string(),
    backlog: z.int().meta({ description: 'Batches that wait for a worker, approximately' }),
    oldest_seconds: z.number().meta({ description: 'Age of the oldest of them' }),
    in_flight: z.int().meta({ description: 'Appends under way, over all live processes' }),
    buffered: z.int().meta({ description: 'Events accepted and not yet appended, over all live processes' }),
    activities_per_second: z.number().meta({ description: 'The limit in force; 0: stopped' }),
    set_by: z.enum(['api', 'worker']),
  })
  .meta({ id: 'Backpressure' });

const limitIn = z.object({
  activities_per_second: z.number().min(0).max(1_000_000).nullable().meta({
    description: 'Batches a second over all workers; 0 stops the queue; null: the workers’ own limit',
  }),
});

/** The ingest queue, where producers are held back. */
export function backpressureRoutes(deps: ApiDeps): Route[] {
  const { orm, clock, settings } = deps;
  const look = async (): Promise<z.output<typeof backpressureOut>> => {
    const [{ override, ...queue }, load] = await Promise.all([
      queueState(deps),
      ingestLoad(sqlOf(orm), clock()),
    ]);
    return {
      queue: QUEUES.ingest,
      ...queue,
      ...load,
      activities_per_second: override ?? settings.ingestRateLimit,
      set_by: override === null ? 'worker' : 'api',
    };
  };
  return [
    route({
      method: 'get',
      path: '/backpressure',
      role: 'read',
      tags: ['producers'],
      summary: 'How the ingest queue does, and its limit',
      responses: { 200: { description: 'The queue', schema: backpressureOut } },
      handle: async () => ({ status: 200, body: await look() }),
    }),
    route({
      method: 'put',
      path: '/backpressure',
      role: 'operate',
      tags: ['producers'],
      summary: 'Limit the ingest queue',
      description: 'In force at once for every worker. Events sent over HTTP are not held back by it.',
      body: jsonBody(limitIn),
      responses: { 200: { description: 'The queue', schema: backpressureOut } },
      async handle({ body }) {
        await limitQueue(deps, body.activities_per_second);
        return { status: 200, body: await look() };
      },
    }),
  ];
}
