import { z } from 'zod';
import { listProducers } from '../../db/queries/producer-rows.ts';
import { removeSamples } from '../../db/queries/samples.ts';
import type { ApiDeps } from '../deps.ts';
import { stopProducerWorkflow, untilProducerEnded } from '../producers.ts';
import { type Route, route } from '../route.ts';
import { tellRule } from '../workflows.ts';

/** How long sample producers may take to finish their last batches, in milliseconds. */
const LAST_BATCHES_MS = 10_000;

/** The producers and rules that come with Tocsin, marked `sample`. */
export function sampleRoutes(deps: ApiDeps): Route[] {
  const { orm, clock } = deps;
  return [
    route({
      method: 'delete',
      path: '/samples',
      tags: ['samples'],
      summary: 'Remove samples with all that they stored',
      description:
        'Sample producers are stopped; their events, dead letters and the incidents of sample rules go too.',
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
      problems: [503],
      async handle() {
        const samples = (await listProducers(orm)).filter(({ sample }) => sample);
        await Promise.all(samples.map(({ id }) => stopProducerWorkflow(deps, id)));
        await Promise.all(samples.map(({ id }) => untilProducerEnded(deps, id, LAST_BATCHES_MS)));
        const { removed, signal } = await removeSamples(orm, clock());
        await Promise.all(signal.map((id) => tellRule(deps, id)));
        return { status: 200, body: removed };
      },
    }),
  ];
}
