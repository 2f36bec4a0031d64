import { z } from 'zod';
import { pauseSamples, removeSamples } from '../../../db/queries/system/samples.ts';
import type { ApiDeps } from '../../deps.ts';
import { type Route, route } from '../../http/route.ts';
import { tellIncidents, tellRule } from '../../temporal.ts';
import { stopProducerWorkflow, untilProducerEnded } from '../producers/stop.ts';

/** How long sample producers may take to finish their last batches, in milliseconds. */
const LAST_BATCHES_MS = 10_000;

/** The route that removes the sample producers and rules. */
export function sampleRoutes(deps: ApiDeps): Route[] {
  const { orm, clock } = deps;
  const stop = async (ids: readonly string[]) => {
    await Promise.all(ids.map((id) => stopProducerWorkflow(deps, id)));
    await Promise.all(ids.map((id) => untilProducerEnded(deps, id, LAST_BATCHES_MS)));
  };
  return [
    route({
      method: 'delete',
      path: '/samples',
      role: 'operate',
      tags: ['samples'],
      summary: 'Remove the samples and everything that they stored',
      description:
        'Stops and removes the sample producers with their events and dead letters, and the sample rules with their incidents.',
      responses: {
        200: {
          description: 'How many of each were removed',
          schema: z.object({
            rules: z.int(),
            producers: z.int(),
            events: z.int(),
            incidents: z.int(),
            dead_letters: z.int(),
          }),
        },
      },
      async handle() {
        const producers = await pauseSamples(orm, clock());
        await stop(producers);
        const { removed, signal, incidents } = await removeSamples(orm, clock());
        // Housekeeping starts workflows that have a row and do not run. It may have done so before the rows
        // were gone.
        await stop(producers);
        await Promise.all([...signal.map((id) => tellRule(deps, id)), tellIncidents(deps, incidents)]);
        return { status: 200, body: removed };
      },
    }),
  ];
}
