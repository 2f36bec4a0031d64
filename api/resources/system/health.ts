import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { missingMigrations } from '../../../db/queries/system/status.ts';
import { within } from '../../../process/within.ts';
import type { ApiDeps } from '../../deps.ts';
import { Unavailable } from '../../http/problem.ts';
import { type Route, route } from '../../http/route.ts';
import { systemStatus } from './status.ts';
import { statusOut } from './status-schema.ts';

/** Routes for liveness and readiness of this process, and for the status of the whole system. */
export function healthRoutes(deps: ApiDeps): Route[] {
  return [
    alive('/livez', {
      summary: 'Liveness of this process',
      description:
        'Answers while the process handles requests. It does not ask PostgreSQL or Temporal. Restart the process only if this gives no answer for a while. Workers answer the same path at their `METRICS_PORT`.',
    }),
    alive('/health', {
      summary: 'Liveness of this process, by the path of the reference system',
      description: 'The same as `/livez`.',
    }),
    route({
      method: 'get',
      path: '/readyz',
      role: null,
      tags: ['health'],
      summary: 'Readiness of this process',
      description:
        'Whether to send requests to this process. It is 503 while PostgreSQL does not answer. A restart does not help then: use `/livez` to decide about restarts.',
      responses: {
        200: {
          description: 'PostgreSQL answers and its schema is up to date',
          schema: z.object({ status: z.literal('ready') }),
        },
      },
      problems: [503],
      async handle() {
        await requireReadiness(deps);
        return { status: 200, body: { status: 'ready' as const } };
      },
    }),
    route({
      method: 'get',
      path: '/status',
      role: 'read',
      tags: ['health'],
      summary: 'State of the whole system',
      description:
        'Says whether alerting is impaired, and why: for example a role without a live process, a watermark that does not advance, wakes, evaluations or notices that wait too long, or no notification channel.',
      responses: {
        200: { description: 'The state of each part', schema: statusOut },
        503: { description: 'PostgreSQL is unavailable', schema: statusOut },
      },
      async handle() {
        const body = await systemStatus(deps);
        return { status: body.status === 'down' ? 503 : 200, body };
      },
    }),
  ];
}

/**
 * A liveness route. It asks no other service, so that an outage there does not restart this process. A
 * blocked process does not answer at all.
 */
function alive(path: string, what: { summary: string; description: string }): Route {
  return route({
    method: 'get',
    path,
    role: null,
    tags: ['health'],
    ...what,
    responses: {
      200: { description: 'The process is alive', schema: z.object({ status: z.literal('ok') }) },
    },
    handle: async () => ({ status: 200, body: { status: 'ok' as const } }),
  });
}

/** Checks that PostgreSQL answers and has the expected schema. @throws Unavailable */
async function requireReadiness({ orm }: ApiDeps): Promise<void> {
  let missing: string[];
  try {
    missing = await within(2000, missingMigrations(sqlOf(orm)));
  } catch (error) {
    throw new Unavailable('PostgreSQL does not answer, or has no schema yet', 1, error);
  }
  if (missing.length > 0) throw new Unavailable(`the database lacks migrations: ${missing.join(', ')}`, 1);
}
