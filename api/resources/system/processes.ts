import { z } from 'zod';
import { retireProcess } from '../../../db/queries/system/retire-process.ts';
import { iso } from '../../../domain/instant.ts';
import type { ApiDeps } from '../../deps.ts';
import { idParams, time } from '../../http/parameters.ts';
import { Conflict, NotFound } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';

const retiredOut = z
  .object({
    id: z.guid(),
    role: z.string(),
    started_at: time,
    last_beat_at: time,
    retired_at: time,
  })
  .meta({ id: 'RetiredProcess' });

/** Routes for processes that will not come back. */
export function processRoutes({ orm }: ApiDeps): Route[] {
  return [
    route({
      method: 'post',
      path: '/processes/{id}/retire',
      role: 'operate',
      tags: ['health'],
      summary: 'Retire a dead process',
      description:
        'Tells Tocsin that a dead process will not come back. The watermark then no longer waits for it, so incidents can be resolved again. ' +
        'The time in which the process may have missed events stays on record as a deaf span. `GET /status` lists the processes, and says ' +
        'whether a dead one holds the watermark. 409 while the process is alive, that is, while its last heartbeat is at most 5 seconds old. ' +
        'A retired process that starts sending heartbeats again is no longer retired.',
      params: idParams,
      responses: {
        200: { description: 'The process is retired; also if it was retired before', schema: retiredOut },
      },
      problems: [404, 409],
      async handle({ params: { id } }) {
        const found = await retireProcess(orm, id);
        if (!found) throw new NotFound('Process');
        const { role, started_at, beat_at, retired_at } = found;
        if (retired_at === null) throw new Conflict(`the ${role} process is alive: stop it first`);
        const body = {
          ...{ id, role, started_at: iso(started_at) },
          ...{ last_beat_at: iso(beat_at), retired_at: iso(retired_at) },
        };
        return { status: 200, body };
      },
    }),
  ];
}
