import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { activeAlerts } from '../../../db/queries/received-reads.ts';
import { compileLabelMatchers } from '../../../domain/label-matcher.ts';
import { MatcherError } from '../../../domain/matcher.ts';
import { fromPostableAlert } from '../../../ingest/formats/alertmanager.ts';
import { parseLabelFilter } from '../../../ingest/formats/label-filter.ts';
import type { Received } from '../../../ingest/receive-alerts.ts';
import type { InvalidEvent } from '../../../ingest/validate.ts';
import { requireSource } from '../../access.ts';
import { readJson } from '../../body/json.ts';
import type { ApiDeps } from '../../deps.ts';
import { ALERTS_LISTED, BATCH_BODY_LIMIT, BATCH_LIMIT } from '../../limits.ts';
import { Invalid, Problem } from '../../problem.ts';
import { noteItems } from '../../rejections/attempt.ts';
import { type BodySpec, type Dialect, type Route, route } from '../../route.ts';
import {
  alertGroup,
  alertmanagerStatus,
  gettableAlert,
  postableAlert,
  RECEIVER,
  showGettable,
  showGroups,
} from '../../schemas/alertmanager.ts';

/** Alertmanager answers failures as a JSON string, and what it can't take with 400. */
const dialect: Dialect = {
  content: { 'application/json': z.string() },
  invalid: 400,
  say: ({ message, errors }) => {
    const all = errors?.map(({ field, reason }) => (field ? `${field}: ${reason}` : reason));
    return { type: 'application/json', body: JSON.stringify(all?.join('; ') ?? message) };
  },
};

const posted: BodySpec<unknown[]> = {
  content: { 'application/json': z.array(postableAlert).max(BATCH_LIMIT) },
  optional: false,
  async read(body) {
    const raw = await readJson(body, BATCH_BODY_LIMIT, 'mended');
    if (!Array.isArray(raw)) throw new Invalid([{ field: 'body', reason: 'must be an array of alerts' }]);
    if (raw.length > BATCH_LIMIT)
      throw new Problem(413, `more than ${BATCH_LIMIT} alerts: send them in parts`);
    return raw;
  },
};

const flag = z.enum(['true', 'false']).default('true');

const filters = z.object({
  filter: z
    .array(z.string().max(300))
    .max(10)
    .default([])
    .meta({ description: 'Matchers of labels, as `severity=~"critical|warning"`; all must hold' }),
  active: flag,
  silenced: flag.meta({ description: 'None is' }),
  inhibited: flag.meta({ description: 'None is' }),
  unprocessed: flag.meta({ description: 'None is' }),
  muted: flag.meta({ description: 'None is' }),
  receiver: z.string().max(1000).default('').meta({ description: 'A pattern of receivers’ names' }),
});

/** What Prometheus and amtool need of Alertmanager's API v2. */
export function alertmanagerRoutes(deps: ApiDeps): Route[] {
  const { orm, access, alerts, clock } = deps;
  const startedAt = new Date(clock()).toISOString();

  async function find(query: z.output<typeof filters>) {
    if (query.active === 'false') return [];
    const matchers = query.filter.map((text) => {
      const matcher = parseLabelFilter(text);
      if (!matcher) throw new Invalid([{ field: 'filter', reason: `bad matcher format: ${text}` }]);
      return matcher;
    });
    try {
      const named = { name: 'receiver', op: '=~', value: query.receiver } as const;
      if (query.receiver && !compileLabelMatchers([named])({ receiver: RECEIVER.name })) return [];
      const limits = { now: clock(), limit: ALERTS_LISTED };
      return (await activeAlerts(sqlOf(orm), { protocol: 'alertmanager', matchers, ...limits })).alerts;
    } catch (error) {
      if (error instanceof MatcherError) throw new Invalid([{ field: 'filter', reason: error.message }]);
      throw error;
    }
  }

  return [
    route({
      method: 'post',
      path: '/api/v2/alerts',
      role: 'ingest',
      ingests: 'alerts',
      tags: ['received alerts'],
      summary: 'Take alerts as Alertmanager does',
      description:
        'From Prometheus (`alerting: alertmanagers:`) and `amtool alert add`. The label set is an alert’s identity; each opens one incident, which resolves ' +
        'at its end, or 5 minutes after it was last sent. Answers once they are stored; if some are bad the answer is 400, and the others are stored.',
      body: posted,
      responses: { 200: { description: 'Stored' } },
      dialect,
      async handle({ body, principal }) {
        requireSource(principal, 'alertmanager');
        await access.spend(principal, body.length);
        const now = clock();
        const mapped = body.map((raw) => fromPostableAlert(raw, now));
        const good = mapped.flatMap((item) => ('alert' in item ? [item.alert] : []));
        const results = (await alerts.receive(good, principal.name, principal.id ?? '')).values();
        const errors = mapped.flatMap((item, i): InvalidEvent[] => {
          const result: Received =
            'alert' in item ? results.next().value! : { status: 'invalid', errors: item.invalid };
          if (result.status !== 'invalid') return [];
          noteItems([{ event: body[i] }], [result]);
          return result.errors.map(({ field, reason }) => ({
            field: field ? `${i}.${field}` : `${i}`,
            reason,
          }));
        });
        if (errors.length > 0) throw new Invalid(errors);
        return { status: 200 };
      },
    }),
    route({
      method: 'get',
      path: '/api/v2/alerts',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Active alerts, as Alertmanager answers them',
      query: filters,
      responses: { 200: { description: 'The first 10,000', schema: z.array(gettableAlert) } },
      dialect,
      handle: async ({ query }) => ({ status: 200, body: (await find(query)).map(showGettable) }),
    }),
    route({
      method: 'get',
      path: '/api/v2/alerts/groups',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Active alerts by their names',
      query: filters,
      responses: { 200: { description: 'Groups of the first 10,000 alerts', schema: z.array(alertGroup) } },
      dialect,
      handle: async ({ query }) => ({ status: 200, body: showGroups(await find(query)) }),
    }),
    route({
      method: 'get',
      path: '/api/v2/receivers',
      role: 'read',
      tags: ['received alerts'],
      summary: 'The one receiver that Alertmanager’s clients see',
      responses: { 200: { description: 'Its name', schema: z.array(z.object({ name: z.string() })) } },
      dialect,
      handle: async () => ({ status: 200, body: [RECEIVER] }),
    }),
    route({
      method: 'get',
      path: '/api/v2/silences',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Silences, as Alertmanager answers them',
      responses: { 200: { description: 'None: there are no silences', schema: z.array(z.never()) } },
      dialect,
      handle: async () => ({ status: 200, body: [] }),
    }),
    route({
      method: 'get',
      path: '/api/v2/status',
      role: 'read',
      tags: ['received alerts'],
      summary: 'What Alertmanager’s clients ask before anything else',
      responses: { 200: { description: 'This API, in Alertmanager’s words', schema: alertmanagerStatus } },
      dialect,
      handle: async () => ({
        status: 200,
        body: {
          cluster: { status: 'disabled' as const, peers: [] },
          // The version whose API this is.
          versionInfo: {
            ...{ version: '0.28.0', revision: 'tocsin', branch: '', buildUser: '', buildDate: '' },
            goVersion: '',
          },
          config: {
            original: `route:\n  receiver: ${RECEIVER.name}\nreceivers:\n- name: ${RECEIVER.name}\n`,
          },
          uptime: startedAt,
        },
      }),
    }),
  ];
}
