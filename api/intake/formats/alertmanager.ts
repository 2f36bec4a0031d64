import { Readable } from 'node:stream';
import { z } from 'zod';
import { sqlOf } from '../../../db/orm.ts';
import { activeAlertPages, activeAlerts } from '../../../db/queries/received-alerts/reads.ts';
import type { ReceivedAlertRow } from '../../../db/queries/received-alerts/writes.ts';
import { compileLabelMatchers } from '../../../domain/received-alerts/label-matcher.ts';
import { MatcherError } from '../../../domain/rules/matcher.ts';
import type { Received } from '../../../ingest/alerts/receive.ts';
import type { InvalidEvent } from '../../../ingest/append/validate.ts';
import { fromPostableAlert } from '../../../ingest/formats/alertmanager.ts';
import { parseLabelFilter } from '../../../ingest/formats/label-filter.ts';
import { requireSource } from '../../auth/access.ts';
import type { ApiDeps } from '../../deps.ts';
import { readJson } from '../../http/body/json.ts';
import { ALERTS_LISTED, BATCH_BODY_LIMIT, BATCH_LIMIT } from '../../http/limits.ts';
import { Invalid, Problem } from '../../http/problem.ts';
import { type BodySpec, type Dialect, type Route, route } from '../../http/route.ts';
import { Slots } from '../../http/slots.ts';
import { admitAlerts } from '../alert-rate.ts';
import { noteItems } from '../rejections/attempt.ts';
import {
  alertGroup,
  alertmanagerStatus,
  gettableAlert,
  groupsOf,
  postableAlert,
  RECEIVER,
  showGettable,
  showGroup,
} from './alertmanager-schema.ts';

/** Errors as Alertmanager sends them: a JSON string, and 400 for invalid input. */
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
  filter: z.array(z.string().max(300)).max(10).default([]).meta({
    description: 'Label matchers such as `severity=~"critical|warning"`; an alert must match all of them',
  }),
  active: flag,
  silenced: flag.meta({ description: 'No effect: Tocsin has no silences, so no alert is ever silenced' }),
  inhibited: flag.meta({ description: 'No effect: no alert is ever inhibited' }),
  unprocessed: flag.meta({ description: 'No effect: no alert is ever unprocessed' }),
  muted: flag.meta({ description: 'No effect: no alert is ever muted' }),
  receiver: z
    .string()
    .max(1000)
    .default('')
    .meta({ description: 'A regular expression for the name of the receiver' }),
});

/** How many lists of alerts may be sent at the same time in one process, for one key and in total. */
const LISTS = { ofOne: 8, ofAll: 64 };

/** The largest answer with groups, in characters. Such an answer is built as a whole. */
const GROUPED_CHARACTERS = 4 << 20;

/**
 * How many answers with groups may be sent at the same time. Each holds all of its alerts until the client
 * has read them.
 */
const GROUPINGS = { ofOne: 8, ofAll: 16 };

/** Writes groups as JSON, one after the other. */
function* asGroups(alerts: readonly ReceivedAlertRow[]): Generator<string> {
  let before = '[';
  for (const group of groupsOf(alerts)) {
    yield before + JSON.stringify(showGroup(group));
    before = ',';
  }
  yield before === '[' ? '[]' : ']';
}

/** Writes a list as JSON while reading it from the database. */
async function* asList(
  first: readonly ReceivedAlertRow[],
  rest: AsyncIterator<ReceivedAlertRow[]>,
): AsyncGenerator<string> {
  const write = (alerts: readonly ReceivedAlertRow[]) =>
    alerts.map((alert) => JSON.stringify(showGettable(alert))).join(',');
  yield `[${write(first)}`;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield `,${write(next.value)}`;
  yield ']';
}

/** The routes of Alertmanager's API v2 that Prometheus and amtool use. */
export function alertmanagerRoutes(deps: ApiDeps): Route[] {
  const { orm, access, alerts, clock } = deps;
  const startedAt = new Date(clock()).toISOString();
  const lists = new Slots('lists of alerts', LISTS);
  const groupings = new Slots('lists of groups of alerts', GROUPINGS);

  /** Converts a query into what to search for; null if nothing can match. @throws Invalid */
  function wanted(query: z.output<typeof filters>) {
    if (query.active === 'false') return null;
    const matchers = query.filter.map((text) => {
      const matcher = parseLabelFilter(text);
      if (!matcher) throw new Invalid([{ field: 'filter', reason: `bad matcher format: ${text}` }]);
      return matcher;
    });
    try {
      const named = { name: 'receiver', op: '=~', value: query.receiver } as const;
      if (query.receiver && !compileLabelMatchers([named])({ receiver: RECEIVER.name })) return null;
      compileLabelMatchers(matchers);
      return { protocol: 'alertmanager', matchers, now: clock(), limit: ALERTS_LISTED } as const;
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
      summary: 'Receive alerts (Alertmanager API v2)',
      description:
        'For Prometheus (`alerting: alertmanagers:`) and `amtool alert add`. The label set identifies an alert. Each alert opens one incident, which resolves ' +
        'at `endsAt`, or 5 minutes after the alert was last sent if it has none. The API answers after the alerts are stored. If some alerts are invalid, the answer is 400 and the others are stored. If the key opens more alerts than its rate allows, the answer is 429: new alerts are refused, but alerts that are active are refreshed and resolved.',
      body: posted,
      responses: { 200: { description: 'Stored' } },
      dialect,
      async handle({ body, principal }) {
        requireSource(principal, 'alertmanager');
        const now = clock();
        const mapped = body.map((raw) => fromPostableAlert(raw, now));
        const given = mapped.flatMap((item) => ('alert' in item ? [item.alert] : []));
        const { received, refused } = await admitAlerts(
          sqlOf(orm),
          access,
          principal,
          'alertmanager',
          given,
          now,
        );
        const good = given.filter((_, i) => received[i]);
        const outcomes = await alerts.receive(good, principal.name, principal.id ?? '');
        if (refused) throw refused;
        const results = outcomes.values();
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
      summary: 'Active alerts (Alertmanager API v2)',
      query: filters,
      responses: {
        200: {
          description: 'The first 10,000 alerts',
          media: ['application/json'],
          schema: z.array(gettableAlert),
        },
      },
      dialect,
      async handle({ query, principal }) {
        const asked = wanted(query);
        if (!asked) return { status: 200, type: 'application/json', body: '[]' };
        const pages = activeAlertPages(sqlOf(orm), asked)[Symbol.asyncIterator]();
        const leave = lists.take(principal);
        // The first page is read before the answer begins, so that an early failure gets an error status.
        const first = await pages.next().catch((error) => {
          leave();
          throw error;
        });
        const body = Readable.from(asList(first.done ? [] : first.value, pages), { objectMode: false });
        body.once('close', leave);
        return { status: 200, type: 'application/json', body };
      },
    }),
    route({
      method: 'get',
      path: '/api/v2/alerts/groups',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Active alerts, grouped by name (Alertmanager API v2)',
      query: filters,
      responses: {
        200: {
          description: 'Groups of the first 10,000 alerts; fewer if these are more than 4 MiB',
          media: ['application/json'],
          schema: z.array(alertGroup),
        },
      },
      dialect,
      async handle({ query, principal }) {
        const asked = wanted(query);
        if (!asked) return { status: 200, type: 'application/json', body: '[]' };
        const leave = groupings.take(principal);
        const { alerts } = await activeAlerts(sqlOf(orm), asked, GROUPED_CHARACTERS).catch((error) => {
          leave();
          throw error;
        });
        const body = Readable.from(asGroups(alerts), { objectMode: false });
        body.once('close', leave);
        return { status: 200, type: 'application/json', body };
      },
    }),
    route({
      method: 'get',
      path: '/api/v2/receivers',
      role: 'read',
      tags: ['received alerts'],
      summary: 'The only receiver (Alertmanager API v2)',
      responses: { 200: { description: 'Its name', schema: z.array(z.object({ name: z.string() })) } },
      dialect,
      handle: async () => ({ status: 200, body: [RECEIVER] }),
    }),
    route({
      method: 'get',
      path: '/api/v2/silences',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Silences (Alertmanager API v2)',
      responses: { 200: { description: 'Always empty: Tocsin has no silences', schema: z.array(z.never()) } },
      dialect,
      handle: async () => ({ status: 200, body: [] }),
    }),
    route({
      method: 'get',
      path: '/api/v2/status',
      role: 'read',
      tags: ['received alerts'],
      summary: 'Version and status (Alertmanager API v2)',
      responses: {
        200: {
          description: 'The status of this API in the form that Alertmanager’s clients expect',
          schema: alertmanagerStatus,
        },
      },
      dialect,
      handle: async () => ({
        status: 200,
        body: {
          cluster: { status: 'disabled' as const, peers: [] },
          // The version of Alertmanager whose API this is.
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
