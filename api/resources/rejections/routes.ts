import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { countRejections, KEPT_OF_A_KEY, lastRejections } from '../../../db/queries/rejections/rows.ts';
import { DAY_MS } from '../../../domain/events/event.ts';
import type { ApiDeps } from '../../deps.ts';
import { queryInteger, range, time, withDefault } from '../../http/parameters.ts';
import { type Route, route } from '../../http/route.ts';

const kind = z.enum(['event', 'request']).meta({
  description: '`event`: one item of a request; `request`: the whole request',
});

const rejectionsOut = z
  .object({
    from: time,
    to: time,
    counts: z.array(z.object({ route: z.string(), reason: z.string(), kind, n: z.number() })).meta({
      description: 'Highest count first. Counts are kept by whole hours.',
    }),
    last: z
      .array(
        z.object({
          at: time,
          key: z.string().meta({
            description:
              'Id of the key that sent it; `anyone` if the API asks for no keys, `unknown` if the sender was not authenticated',
          }),
          key_name: z.string(),
          route: z.string(),
          kind,
          status: z.int(),
          reason: z.string(),
          field: z.string(),
          detail: z.string(),
          item: z.string().nullable().meta({
            description: 'The first characters of what was sent; null for a request that was not read',
          }),
        }),
      )
      .meta({ description: `Newest first; the last ${KEPT_OF_A_KEY} of each key are kept` }),
  })
  .meta({ id: 'Rejections' });

/** The route that shows refusals, for people who miss their events. */
export function rejectionRoutes({ orm, clock }: ApiDeps): Route[] {
  return [
    route({
      method: 'get',
      path: '/rejections',
      role: 'read',
      tags: ['events'],
      summary: 'What was refused, and why',
      description: 'By default the last 24 hours. A refusal appears about a second after it happened.',
      query: z.object({
        ...range,
        key: z.string().max(64).optional(),
        route: z.string().max(100).optional(),
        reason: z.string().max(32).optional(),
        limit: withDefault(queryInteger(1, 1000), 100),
      }),
      responses: {
        200: { description: 'Counts, and the latest refusals of each key', schema: rejectionsOut },
      },
      async handle({ query: { limit, ...given } }) {
        const to = given.to ?? clock();
        const filter = { ...given, to, from: given.from ?? to - DAY_MS };
        const db = sqlOf(orm);
        const [counts, last] = await Promise.all([
          countRejections(db, filter),
          lastRejections(db, filter, limit),
        ]);
        return {
          status: 200,
          body: {
            from: new Date(filter.from).toISOString(),
            to: new Date(filter.to).toISOString(),
            counts,
            last: last.map((rejection) => ({ ...rejection, at: new Date(rejection.at).toISOString() })),
          },
        };
      },
    }),
  ];
}
