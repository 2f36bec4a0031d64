import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import {
  fromPagerDuty,
  fromPagerDutyChange,
  pagerdutyChange,
  pagerdutyEvent,
} from '../../../ingest/formats/pagerduty.ts';
import { repair } from '../../../ingest/formats/repair.ts';
import { requireSource } from '../../auth/access.ts';
import { auditor } from '../../auth/audit.ts';
import { readJson } from '../../http/body/json.ts';
import { BODY_DEPTH, PAGE_LIMIT } from '../../http/limits.ts';
import { Invalid } from '../../http/problem.ts';
import { type BodySpec, check, type Dialect, type Route, route } from '../../http/route.ts';
import { admitAlerts } from '../alert-rate.ts';
import { Forbidden } from '../batch.ts';
import { attemptedBy } from '../rejections/attempt.ts';
import type { Format, FormatDeps } from './format.ts';

const failed = z
  .object({ status: z.string(), message: z.string(), errors: z.array(z.string()).optional() })
  .meta({ id: 'PagerDutyFailure' });

/** Errors as PagerDuty sends them. */
const dialect: Dialect = {
  content: { 'application/json': failed },
  invalid: 400,
  say({ message, errors }, code) {
    const status = code === 429 ? 'throttle exceeded' : code < 500 ? 'invalid event' : 'unavailable';
    const details = errors?.map(({ field, reason }) => (field ? `'${field}' ${reason}` : reason));
    const body = { status, message, ...(details ? { errors: details } : {}) };
    return { type: 'application/json', body: JSON.stringify(body) };
  },
};

/** Declares a body that is repaired instead of refused, because a page must not get lost over a detail. */
function mendedBody<S extends z.ZodType>(schema: S): BodySpec<z.output<S>> {
  return {
    content: { 'application/json': schema },
    optional: false,
    async read(body) {
      const raw = await readJson(body, PAGE_LIMIT, 'mended');
      const flaw = raw !== null && typeof raw === 'object' ? repair(raw as object, BODY_DEPTH) : null;
      if (flaw) throw new Invalid([{ field: 'body', reason: flaw }]);
      return check(schema, raw, 'body');
    },
  };
}

/** PagerDuty's Events API v2. Whatever can page through PagerDuty can use Tocsin by changing the URL. */
export const pagerDuty: Format = { name: "PagerDuty's senders", routes: pagerDutyRoutes };

function pagerDutyRoutes(deps: FormatDeps): Route[] {
  const { orm, access, alerts, clock, intake } = deps;
  const record = auditor(deps);
  return [
    route({
      method: 'post',
      path: '/v2/change/enqueue',
      role: null,
      ingests: 'events',
      tags: ['received alerts'],
      summary: 'Receive a change event (PagerDuty Events API v2)',
      description:
        'For example a deployment. A change event is stored as an event of type `change` and opens no incident. `routing_key` is a key with the role `ingest`.',
      body: mendedBody(pagerdutyChange),
      responses: {
        202: {
          description: 'Stored',
          schema: z.object({ status: z.literal('success'), message: z.string() }),
        },
      },
      problems: [401, 403, 429],
      dialect,
      async handle({ body: change, request }) {
        const principal = await access.admitKey(change.routing_key, 'ingest', request);
        attemptedBy(principal);
        const [result] = await intake.store(principal, [fromPagerDutyChange(change)]);
        if (result!.status === 'invalid')
          throw result!.forbidden ? new Forbidden() : new Invalid(result!.errors);
        return { status: 202, body: { status: 'success' as const, message: 'Change event processed' } };
      },
    }),
    route({
      method: 'post',
      path: '/v2/enqueue',
      // No role: the key is in the body.
      role: null,
      ingests: 'alerts',
      tags: ['received alerts'],
      summary: 'Trigger, acknowledge or resolve an alert (PagerDuty Events API v2)',
      description:
        '`routing_key` is a key with the role `ingest`. A trigger opens an incident for its `dedup_key`, or refreshes the incident that is open. ' +
        '202 means that the event is stored.',
      body: mendedBody(pagerdutyEvent),
      responses: {
        202: {
          description: 'Stored',
          schema: z.object({ status: z.literal('success'), message: z.string(), dedup_key: z.string() }),
        },
      },
      problems: [401, 403, 429],
      dialect,
      async handle({ body: event, request, path }) {
        const principal = await access.admitKey(event.routing_key, 'ingest', request, 'alerts');
        attemptedBy(principal);
        requireSource(principal, 'pagerduty');
        const dedup_key = event.dedup_key ?? randomUUID().replaceAll('-', '');
        const now = clock();
        const alert = fromPagerDuty(event, principal.id ?? 'open', dedup_key, now);
        const { refused } = await admitAlerts([alert], { db: sqlOf(orm), access, principal, now });
        if (refused) throw refused;
        const receive = async () => {
          const [result] = await alerts.receive([alert], principal.name);
          if (result!.status === 'invalid') throw new Invalid(result!.errors);
          const body = { status: 'success' as const, message: 'Event processed', dedup_key };
          return { status: 202, body } as const;
        };
        if (event.event_action !== 'acknowledge') return receive();
        // Acknowledging is audited, because it makes others stop looking, like an acknowledgement by a
        // person.
        const said = { event_action: event.event_action, dedup_key };
        const act = { principal, request, path, query: {}, body: said };
        return record({ method: 'post', path: '/v2/enqueue', role: null }, act, receive);
      },
    }),
  ];
}
