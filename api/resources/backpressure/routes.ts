import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { ingestLoad } from '../../../db/queries/system/status.ts';
import { QUEUES } from '../../../workflows/queues.ts';
import type { ApiDeps } from '../../deps.ts';
import { jsonBody } from '../../http/body/json.ts';
import { type Route, route } from '../../http/route.ts';
import { limitQueue, type QueueState, queueState } from './queue.ts';

const backpressureOut = z
  .object({
    queue: z.string(),
    backlog: z.int().meta({ description: 'Approximate number of batches that wait for a worker' }),
    oldest_seconds: z.number().meta({ description: 'Age of the oldest waiting batch' }),
    in_flight: z.int().meta({ description: 'Appends in progress in all live processes' }),
    buffered: z.int().meta({ description: 'Events accepted but not stored yet, in all live processes' }),
    activities_per_second: z.number().nullable().meta({
      description:
        'The limit in force, in batches per second. 0: the queue is stopped. Null: Temporal did not report a limit.',
    }),
    set_by: z.enum(['api', 'worker', 'temporal']).meta({
      description:
        '`api`: by PUT /backpressure. `worker`: by the configuration of the workers. `temporal`: by neither, because no worker has polled the queue yet.',
    }),
    worker_limits: z.array(z.number()).meta({
      description:
        'The different limits that live workers are configured with (`INGEST_RATE_LIMIT`). If there is more than one and PUT /backpressure has set none, the limit of the worker that polled last applies.',
    }),
  })
  .meta({ id: 'Backpressure' });

const limitIn = z.object({
  activities_per_second: z.number().min(0).max(1_000_000).nullable().meta({
    description:
      'Batches per second for all workers together. 0 stops the queue; null restores the limit that the workers are configured with.',
  }),
});

/** Routes that show and limit the ingest queue. Its limit slows producers down. */
export function backpressureRoutes(deps: ApiDeps): Route[] {
  const { orm, clock } = deps;
  const bodyOf = async (queue: QueueState): Promise<z.output<typeof backpressureOut>> => {
    const load = await ingestLoad(sqlOf(orm), clock());
    return { queue: QUEUES.ingest, ...queue, ...load };
  };
  return [
    route({
      method: 'get',
      path: '/backpressure',
      role: 'read',
      tags: ['producers'],
      summary: 'State and limit of the ingest queue',
      responses: { 200: { description: 'The queue', schema: backpressureOut } },
      handle: async () => ({ status: 200, body: await bodyOf(await queueState(deps)) }),
    }),
    route({
      method: 'put',
      path: '/backpressure',
      role: 'operate',
      tags: ['producers'],
      summary: 'Limit the ingest queue',
      description:
        'The limit applies to every worker at once. It does not slow events that are sent over HTTP. The answer waits up to 2 s until Temporal applies the limit.',
      body: jsonBody(limitIn),
      responses: { 200: { description: 'The queue', schema: backpressureOut } },
      async handle({ body }) {
        const queue = await limitQueue(deps, body.activities_per_second);
        return { status: 200, body: await bodyOf(queue) };
      },
    }),
  ];
}
